"""`fieldmark projects` and `fieldmark project create`."""

from __future__ import annotations

from typing import Annotated

import typer

from fieldmark.cli.answer import (
    DEFAULT_WORKSPACE,
    Answer,
    JsonOption,
    OfflineOption,
    WorkspaceOption,
    opened,
    respond,
    table,
)

group = typer.Typer(help="Make projects.", no_args_is_help=True)


def list_projects(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """List the projects of a workspace with what they hold."""

    def work() -> Answer:
        from fieldmark.core.projects import overview

        with opened(workspace) as ws:
            found = overview(ws)
        rows = [
            [str(p["id"]), p["name"], str(p["images"]), str(p["labelled"]), str(p["models"]), p["backbone"]]
            for p in found
        ]
        headings = ["id", "name", "images", "labelled", "models", "backbone"]
        return Answer({"projects": found}, lambda console: table(console, headings, rows))

    respond(work, as_json=as_json)


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name that no other project has.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Make a project, and the workspace where there is none."""

    def work() -> Answer:
        from fieldmark.core.projects import check_name, create_project

        check_name(name)  # a name that is refused must not leave a workspace behind
        with opened(workspace, make=True) as ws:
            project = create_project(ws, name)
            root = ws.root
        return Answer(
            {"id": project.id, "name": project.name},
            lambda console: console.print(f"Made project {project.name} ({project.id}) in {root}."),
        )

    respond(work, as_json=as_json)
