"""`fieldmark labels list` and `fieldmark labels import`."""

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
    opened,
    respond,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from fieldmark.core.ingest import LabelReport

group = typer.Typer(help="List labels, or bring them from another tool.", no_args_is_help=True)


@group.command("list")
def list_labels(
    project: Annotated[str, typer.Argument(help="Id or name of the project.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """List a project's labels with how many images carry each."""

    def work() -> Answer:
        from fieldmark.core.projects import find_project
        from fieldmark.storage.images import counts_by_state
        from fieldmark.storage.labels import label_counts

        with opened(workspace) as ws:
            found = find_project(ws, project)
            labels = label_counts(ws.database, found.id)
            states = counts_by_state(ws.database, found.id)
        rows = [[label.name, str(label.images), str(label.default)] for label in labels]
        return Answer(
            {"labels": [asdict(label) for label in labels], "states": states},
            lambda console: table(console, ["label", "images", "as default"], rows),
        )

    respond(work, as_json=as_json)


@group.command("import")
def import_(
    project: Annotated[str, typer.Argument(help="Id or name of the project.")],
    file: Annotated[Path, typer.Argument(help="Label file, folder or zip.")],
    format_name: Annotated[
        str | None, typer.Option("--format", help="Importer; without it the one that recognises the file.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("-o", "--option", help="key=value for the importer.")
    ] = None,
    use_split: Annotated[
        bool, typer.Option("--use-split", help="Validation rows become the user-defined validation set.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would happen and write nothing.")
    ] = False,
    strict: StrictOption = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Bring labels for images that the project holds; what matches no image is listed."""

    def work() -> Answer:
        from fieldmark.cli.progress import counting
        from fieldmark.core.ingest import import_labels
        from fieldmark.core.projects import find_project
        from fieldmark.core.registry import load_registry

        with opened(workspace) as ws, counting("Reading rows") as progress:
            report = import_labels(
                ws,
                load_registry(),
                find_project(ws, project),
                file,
                format_name=format_name,
                options=option or (),
                use_split=use_split,
                dry_run=dry_run,
                progress=progress,
            )
        refusals = bool(report.skipped or report.unmatched or report.ambiguous)
        return Answer(
            asdict(report),
            lambda console: _show(console, report, dry_run),
            _nothing(report, file, project),
            refusals,
        )

    respond(work, as_json=as_json, strict=strict)


def _nothing(report: LabelReport, file: Path, project: str) -> str | None:
    if report.matched:
        return None
    if not report.rows:
        return f"nothing was imported: {file.name} holds no row"
    first = f"; the first: {report.listed[0]['name']} ({report.listed[0]['reason']})" if report.listed else ""
    return (
        f"nothing was imported: none of the {report.rows} rows of {file.name} could be used for {project}{first}. "
        "Upload the images first, or choose the columns with -o"
    )


def _show(console: Console, report: LabelReport, dry_run: bool) -> None:
    done = "Would import" if dry_run else "Imported"
    console.print(
        f"{done} {report.matched} of {report.rows} rows as {report.format}: "
        f"{report.annotations} new labels on {report.images} images."
    )
    for note in report.notes:
        console.print(note)
    if report.splits:
        named = ", ".join(f"{count} {split}" for split, count in report.splits.items())
        hint = "train with --validation user-defined" if report.splits_used else "--use-split takes them over"
        console.print(f"Sets in the file: {named}; {hint}.")
    missing = report.unmatched + report.ambiguous + report.skipped
    if missing:
        console.print(f"Not used ({missing}):")
        for item in report.listed[:20]:
            console.print(f"  {item['name']}: {item['reason']}")
