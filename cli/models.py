"""`fieldmark models` and `fieldmark stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    WorkspaceOption,
    harmless,
    opened,
    refuse_options_before_a_command,
    respond,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console

group = typer.Typer(
    help="List, rename and delete models; without a command it lists.", invoke_without_command=True
)
ProjectOption = Annotated[str, typer.Option("--project", help="Id or name of the project.")]
LONGEST_ROW_LABEL = 30
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="best or last.")]


def checkpoint_name(text: str) -> Any:
    """Return `best` or `last`; anything else is wrong usage."""
    if text not in ("best", "last"):
        raise typer.BadParameter(f"{text!r} is no checkpoint: best or last", param_hint="--checkpoint")
    return text


@group.callback()
def bare(
    context: typer.Context,
    project: Annotated[str | None, typer.Option("--project", help="Only of this project.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """List, rename and delete models; without a command it lists."""
    refuse_options_before_a_command(context)
    if context.invoked_subcommand is None:
        list_models(project, workspace, as_json, offline)


@group.command("list")
def list_models(
    project: Annotated[str | None, typer.Option("--project", help="Only of this project.")] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """List trained models with their validation accuracy."""

    def work() -> Answer:
        from fieldmark.core.models import overview
        from fieldmark.core.registry import load_registry

        with opened(workspace) as ws:
            found = overview(ws, load_registry(), project)
        rows = [
            [
                m["project"], m["name"], m["task"], m["backbone"], str(len(m["labels"])),
                "" if m["accuracy"] is None else f"{m['accuracy']:.1%}", m["problem"] or "",
            ]
            for m in found
        ]  # fmt: skip
        headings = ["project", "model", "task", "backbone", "labels", "validation accuracy", ""]
        return Answer({"models": found}, lambda console: table(console, headings, rows))

    respond(work, as_json=as_json)


@group.command("rename")
def rename(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    new_name: Annotated[str, typer.Argument(help="Its new name.")],
    project: ProjectOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Give a model another name."""

    def work() -> Answer:
        from fieldmark.core.models import find_model, rename_model
        from fieldmark.core.projects import find_project

        with opened(workspace) as ws:
            found = find_project(ws, project)
            rename_model(ws, found, find_model(ws, found, model), new_name)
        return Answer(
            {"model": new_name, "was": model},
            lambda console: console.print(f"{model} is called {new_name} now."),
        )

    respond(work, as_json=as_json)


@group.command("delete")
def delete(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    project: ProjectOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Delete a model with its statistics and predictions."""

    def work() -> Answer:
        from fieldmark.core.models import delete_model, find_model
        from fieldmark.core.projects import find_project

        with opened(workspace) as ws:
            found = find_project(ws, project)
            delete_model(ws, find_model(ws, found, model))
        return Answer({"deleted": model}, lambda console: console.print(f"Deleted {model}."))

    respond(work, as_json=as_json)


def stats(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    project: ProjectOption,
    checkpoint: CheckpointOption = "best",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Print a model's figures, per label and overall, on training, validation and test images."""
    which = checkpoint_name(checkpoint)

    def work() -> Answer:
        from fieldmark.core.models import find_model
        from fieldmark.core.projects import find_project
        from fieldmark.core.statistics import statistics

        with opened(workspace) as ws:
            found = statistics(ws, find_model(ws, find_project(ws, project), model), which)
        return Answer(found, lambda console: _show(console, found))

    respond(work, as_json=as_json)


def _show(console: Console, found: dict[str, Any]) -> None:
    saved = found["saved"]
    console.print(
        f"{found['model']} ({found['task']}, {found['backbone']['name']}), checkpoint {found['checkpoint']}: "
        f"trained {found['seconds']:.1f} s, best saved at {saved['best']['seconds']:.1f} s (step {saved['best']['step']})"
    )
    for split in ("training", "validation", "test"):
        report = found[split]
        if not report or not report["count"]:
            continue
        console.print(
            f"\n{split.capitalize()}: {report['count']} images, accuracy {_percent(report['accuracy'])}, "
            f"precision {_percent(report['precision'])}, recall {_percent(report['recall'])}, F1 {_percent(report['f1'])}, "
            f"cross-entropy {report['cross_entropy']:.3f}, Matthews {_percent(report['matthews'])}"
        )
        rows = [
            [
                r["label"],
                str(r["count"]),
                *[_percent(r[key]) for key in ("accuracy", "precision", "recall", "f1")],
            ]
            for r in report["labels"]
        ]
        table(console, ["label", "images", "accuracy", "precision", "recall", "F1"], rows)
        if report["confusion"]:
            console.print(
                "Confusion (a row for each true label, a column for each predicted one in the same order):"
            )
            _show_confusion(console, [r["label"] for r in report["labels"]], report["confusion"])
    for note in found["notes"]:
        console.print(note)


def _show_confusion(console: Console, labels: list[str], counts: list[list[int]]) -> None:
    from rich.cells import cell_len, set_cell_size

    widest = min(max(cell_len(harmless(label)) for label in labels), LONGEST_ROW_LABEL)
    width = max(len(str(n)) for row in counts for n in row)
    for label, row in zip(labels, counts, strict=True):
        front = set_cell_size(harmless(label), widest)
        console.print(f"  {front}  " + " ".join(f"{n:>{width}}" for n in row))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
