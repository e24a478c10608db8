"""`fieldmark upload`."""

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

if TYPE_CHECKING:
    from rich.console import Console

    from fieldmark.core.upload import UploadReport


def upload(
    project: Annotated[str, typer.Argument(help="Id or name of the project.")],
    paths: Annotated[list[Path], typer.Argument(help="Image files, folders or zips.")],
    labels_from_folder: Annotated[
        bool, typer.Option("--labels-from-folder", help="Label each image with the folder it lies in.")
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label every image so; may be repeated.")
    ] = None,
    use_split: Annotated[
        bool,
        typer.Option(
            "--use-split", help="With --labels-from-folder: take train, validation and test folders as sets."
        ),
    ] = False,
    strict: StrictOption = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Store images in a project; bad files are listed and the rest goes in."""

    if use_split and not labels_from_folder:
        raise typer.BadParameter(
            "the folders tell the sets, so add --labels-from-folder", param_hint="--use-split"
        )

    def work() -> Answer:
        from fieldmark.cli.progress import counting, stopwatch
        from fieldmark.core.projects import find_project
        from fieldmark.core.registry import load_registry
        from fieldmark.core.upload import UploadWishes
        from fieldmark.core.upload import upload as store

        seconds = stopwatch()
        wishes = UploadWishes(tuple(label or ()), labels_from_folder, use_split)
        with opened(workspace) as ws, counting("Checking images") as progress:
            report = store(ws, load_registry(), find_project(ws, project), paths, wishes, progress)
        document = {**asdict(report), "duplicates": len(report.duplicates), "seconds": seconds()}
        document["duplicate_of"] = [asdict(item) for item in report.duplicates]
        return Answer(
            document, lambda console: _show(console, report), _nothing(report), bool(report.refused)
        )

    respond(work, as_json=as_json, strict=strict)


def _nothing(report: UploadReport) -> str | None:
    if report.stored or report.duplicates:
        return None
    if report.refused:
        first, count = report.refused[0], len(report.refused)
        more = f" (and {count - 1} more were refused)" if count > 1 else ""
        return f"nothing was stored: {first.name}: {first.reason}{more}"
    return "nothing was stored: there is no image in what was given"


def _show(console: Console, report: UploadReport) -> None:
    from fieldmark.core.upload import ALREADY

    console.print(f"Stored {report.stored} images, {report.labels} labels.")
    copies = [item for item in report.duplicates if item.reason != ALREADY]
    if len(copies) < len(report.duplicates):
        console.print(f"{len(report.duplicates) - len(copies)} were there already.")
    listed(console, "Duplicates", copies)
    listed(console, "Refused", report.refused)
    listed(console, "Not images", report.skipped)
    listed(console, "Renamed", report.renamed)
    listed(console, "Contradictory labels", report.contradictions)
    listed(console, "Changed while reading", report.notes)
