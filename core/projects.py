"""Projects as a person names them: by id or by name."""

from __future__ import annotations

from typing import Any
from unicodedata import category

from fieldmark.storage import models, projects
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import counts_by_state
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

DEFAULT_BACKBONE = "embedded"
LONGEST_NAME = 200


def create_project(workspace: Workspace, name: str) -> Project:
    """Make a project with the embedded backbone; raises `FieldmarkError` for a name that can't be used."""
    return projects.create_project(workspace.database, check_name(name), DEFAULT_BACKBONE)


def check_name(name: str) -> str:
    """Return the name as it will be stored; raises `FieldmarkError` for one that no project can have."""
    cleaned = name.strip()
    if not cleaned:
        raise FieldmarkError("a project needs a name")
    if len(cleaned) > LONGEST_NAME or any(category(c) in ("Cc", "Cs") for c in cleaned):
        raise FieldmarkError(
            f"the project name {cleaned[:40]!r} can't be used: up to {LONGEST_NAME} characters on one line"
        )
    if cleaned.isdecimal():
        raise FieldmarkError(
            f"a project can't be called {cleaned!r}: a number alone would read as a project's id"
        )
    return cleaned


def find_project(workspace: Workspace, named: str) -> Project:
    """Return the project with this id or name; raises `FieldmarkError` listing what there is."""
    db = workspace.database
    found = projects.project_by_id(db, int(named)) if named.isdecimal() and len(named) < 10 else None
    found = found or projects.project_by_name(db, named.strip())
    if found:
        return found
    have = ", ".join(f"{project.name} ({project.id})" for project in projects.projects(db)[:10])
    raise FieldmarkError(
        f"there is no project {named!r} in {workspace.root}: "
        + (f"there are {have}" if have else "make one with 'fieldmark project create NAME'")
    )


def overview(workspace: Workspace) -> list[dict[str, Any]]:
    """Return each project as plain data: id, name, counts of images, labelled images and models, backbone."""
    found = []
    for project in projects.projects(workspace.database):
        counts = counts_by_state(workspace.database, project.id)
        found.append(
            {
                "id": project.id,
                "name": project.name,
                "images": sum(counts.values()),
                "labelled": counts.get("labelled", 0),
                "models": len(models.models(workspace.database, project.id)),
                "backbone": project.backbone,
            }
        )
    return found
