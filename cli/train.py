"""`fieldmark train`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    WorkspaceOption,
    opened,
    respond,
)

if TYPE_CHECKING:
    from rich.console import Console


def train(
    project: Annotated[str, typer.Argument(help="Id or name of the project.")],
    task: Annotated[
        str, typer.Option("--task", help="What to learn; single-label comes built in.")
    ] = "single-label",
    name: Annotated[str | None, typer.Option("--name", help="Name of the model.")] = None,
    trainer: Annotated[
        str | None, typer.Option("--trainer", help="Trainer plugin; without it the task's own.")
    ] = None,
    trainer_option: Annotated[
        list[str] | None, typer.Option("--trainer-option", help="key=value, such as learning_rate=0.01.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="embedded, timm:NAME, …; without it the project's own.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights of the backbone: a file or folder.")
    ] = None,
    backbone_option: Annotated[list[str] | None, typer.Option("--backbone-option", help="key=value.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label to include; without it all.")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", help="Most time for the training itself.")] = 1.0,
    validation: Annotated[
        str, typer.Option("--validation", help="Percent of the images, or user-defined.")
    ] = "20",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another number, another split.")] = 0,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Train a model and print how good it is."""
    asked, fraction = _task(task), _fraction(validation)

    def work() -> Answer:
        from fieldmark.cli.progress import steps, stopwatch
        from fieldmark.core.projects import find_project
        from fieldmark.core.registry import load_registry
        from fieldmark.core.statistics import statistics
        from fieldmark.core.train import TrainRequest
        from fieldmark.core.train import train as run

        seconds = stopwatch()
        options = [*(backbone_option or ())]
        if weights is not None:
            options.append(f"weights={weights.resolve()}")
        request = TrainRequest(
            task=asked,
            name=name,
            trainer=trainer,
            trainer_options=trainer_option or (),
            backbone=backbone,
            backbone_options=options,
            labels=tuple(label or ()),
            minutes=minutes,
            validation=fraction,
            offline=offline,
            seed=seed,
        )
        with opened(workspace) as ws, steps() as tell:
            model, training = run(ws, load_registry(), find_project(ws, project), request, tell)
            found = statistics(ws, model, "best")
        document = {
            "model": model.name,
            "seconds": seconds(),
            "train_seconds": found["seconds"],
            "embed_seconds": found["embed_seconds"],
            "training": found["training"],
            "validation": found["validation"],
            "test": found["test"],
            "label_counts": training.dataset.counts,
            "notes": [*training.notes, *model.notes],
        }
        return Answer(document, lambda console: _show(console, document))

    respond(work, as_json=as_json)


def _task(text: str) -> Any:
    from fieldmark.core.contracts.terms import TASKS

    if text not in TASKS:
        raise typer.BadParameter(f"{text!r} is no task: {', '.join(TASKS)}", param_hint="--task")
    return text


def _fraction(text: str) -> float | None:
    if text == "user-defined":
        return None
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not math.isfinite(percent):
        raise typer.BadParameter(
            f"{text!r} is neither a percentage nor user-defined", param_hint="--validation"
        )
    return percent / 100


def _show(console: Console, document: dict[str, Any]) -> None:
    console.print(f"Trained {document['model']} in {document['seconds']:.1f} s.")
    for split in ("training", "validation", "test"):
        report = document[split]
        if report and report["count"]:
            console.print(
                f"{split.capitalize():<11} accuracy {report['accuracy']:.1%}, F1 {report['f1']:.1%} "
                f"on {report['count']} images"
            )
    for note in document["notes"]:
        console.print(note)
