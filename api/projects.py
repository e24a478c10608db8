"""Projects over REST."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core import projects

router = APIRouter()


class ProjectName(BaseModel):
    """What a project is to be called."""

    model_config = ConfigDict(extra="forbid")

    name: str


@router.get("/projects")
def list_projects(app: Context) -> dict[str, Any]:
    """Return every project with its counts and next step."""
    return {"projects": projects.overview(app.workspace)}


@router.post("/projects", status_code=201)
def create_project(wanted: ProjectName, app: Context) -> dict[str, Any]:
    """Make a project."""
    made = projects.create_project(app.workspace, wanted.name)
    return {"id": made.id, "name": made.name}


@router.patch("/projects/{project}")
def rename_project(wanted: ProjectName, project: ProjectInPath, app: Context) -> dict[str, Any]:
    """Give a project another name."""
    projects.rename_project(app.workspace, project, wanted.name)
    return {"id": project.id, "name": wanted.name.strip()}


@router.delete("/projects/{project}", status_code=204)
def delete_project(project: ProjectInPath, app: Context) -> None:
    """Forget a project with its images, labels and models."""
    projects.delete_project(app.workspace, project)
