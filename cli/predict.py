"""`fieldmark predict`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    StrictOption,
    WorkspaceOption,
    listed,
    opened,
    respond,
)
from fieldmark.cli.models import CheckpointOption, ProjectOption, checkpoint_name

if TYPE_CHECKING:
    from rich.console import Console

    from fieldmark.core.predict import Predicted


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    project: ProjectOption,
    output: Annotated[Path, typer.Option("--output", help="File to write.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Image files, folders or zips.")] = None,
    project_images: Annotated[
        bool, typer.Option("--project-images", help="Predict the project's images.")
    ] = False,
    checkpoint: CheckpointOption = "best",
    format_name: Annotated[
        str, typer.Option("--format", help="Exporter: json, csv, grouped-zip, …")
    ] = "json",
    option: Annotated[
        list[str] | None, typer.Option("-o", "--option", help="key=value for the exporter.")
    ] = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Predict images with a model and write the result to a file."""
    if bool(paths) == project_images:
        raise typer.BadParameter("give image paths or --project-images, one of them")
    which = checkpoint_name(checkpoint)

    def work() -> Answer:
        from fieldmark.cli.progress import steps, stopwatch
        from fieldmark.core import predict as prediction
        from fieldmark.core.export import check_target, export_predictions
        from fieldmark.core.models import find_model
        from fieldmark.core.projects import find_project
        from fieldmark.core.registry import load_registry

        seconds = stopwatch()
        registry = load_registry()
        exporter = registry.exporter(format_name, option or ())
        check_target(exporter, output, workspace, paths or ())
        with opened(workspace) as ws, steps() as tell:
            found = find_project(ws, project)
            chosen = find_model(ws, found, model)
            if project_images:
                run = prediction.start_prediction(ws, chosen)
                outcome = prediction.predict_project(ws, run, chosen, which, offline=offline, tell=tell)
            else:
                outcome = prediction.predict_files(ws, chosen, which, paths or (), offline=offline, tell=tell)
            try:
                lost = export_predictions(ws, exporter, found, outcome, output) if outcome.predicted else []
            finally:
                prediction.forget(ws, outcome)
        document = {
            "model": chosen.name,
            "checkpoint": which,
            "output": str(output),
            "predicted": outcome.predicted,
            "refused": [asdict(item) for item in outcome.refused],
            "skipped": [asdict(item) for item in outcome.skipped],
            "loses": lost,
            "seconds": seconds(),
        }
        return Answer(
            document,
            lambda console: _show(console, outcome, output, lost),
            _nothing(outcome),
            bool(outcome.refused),
        )

    respond(work, as_json=as_json, strict=strict)


def _nothing(outcome: Predicted) -> str | None:
    if outcome.predicted:
        return None
    first = f"; {outcome.refused[0].name} {outcome.refused[0].reason}" if outcome.refused else ""
    return f"nothing was predicted: none of the {outcome.seen} files is an image that can be read{first}"


def _show(console: Console, outcome: Predicted, output: Path, lost: list[str]) -> None:
    if outcome.predicted:
        console.print(
            f"Predicted {outcome.predicted} images with {outcome.model.name} ({outcome.checkpoint}): {output}"
        )
    for sentence in lost:
        console.print(sentence)
    listed(console, "Refused", outcome.refused)
    listed(console, "Not images", outcome.skipped)
