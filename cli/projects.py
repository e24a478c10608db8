"""`fieldmark projects` and `fieldmark project create|rename|delete`."""

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

group = typer.Typer(help="Make, rename and delete projects.", no_args_is_help=True)


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
            [
                str(p["id"]), p["name"], str(p["images"]), str(p["labelled"]), str(p["models"]), p["backbone"],
                p["next"]["sentence"],
            ]
            for p in found
        ]  # fmt: skip
        headings = ["id", "name", "images", "labelled", "models", "backbone", "next step"]
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


@group.command("rename")
def rename(
    name: Annotated[str, typer.Argument(help="Id or name of the project.")],
    new_name: Annotated[str, typer.Argument(help="Its new name.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Give a project another name."""

    def work() -> Answer:
        from fieldmark.core.projects import find_project, rename_project

        with opened(workspace) as ws:
            found = find_project(ws, name)
            renamed = rename_project(ws, found, new_name)
        return Answer(
            {"id": renamed.id, "name": renamed.name, "was": found.name},
            lambda console: console.print(f"{found.name} is called {renamed.name} now."),
        )

    respond(work, as_json=as_json)


@group.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="Id or name of the project.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really delete it.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Delete a project with its images, labels, models and predictions."""

    def work() -> Answer:
        from fieldmark.core.projects import delete_project, find_project, holdings
        from fieldmark.storage.errors import FieldmarkError

        with opened(workspace) as ws:
            found = find_project(ws, name)
            lost = holdings(ws, found)
            if not yes:
                raise FieldmarkError(
                    f"deleting {found.name} ({found.id}) would lose {lost} for good: add --yes to do it"
                )
            delete_project(ws, found)
        return Answer(
            {"deleted": found.name, "id": found.id},
            lambda console: console.print(f"Deleted {found.name} ({found.id}) with {lost}."),
        )

    respond(work, as_json=as_json)
