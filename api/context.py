"""How a route reaches the open workspace, and names what it was asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from fieldmark.core.open_app import OpenApp, held
from fieldmark.core.projects import find_project
from fieldmark.storage.projects import Project

Context = Annotated[OpenApp, Depends(held)]


def project_in_path(project: str, app: Context) -> Project:
    """Return the project of the address, by id or name; `FieldmarkError` becomes 404."""
    return find_project(app.workspace, project)


ProjectInPath = Annotated[Project, Depends(project_in_path)]
