"""A project's labels over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.labelling import create_label
from fieldmark.storage.labels import label_counts

router = APIRouter()


class LabelName(BaseModel):
    """What a label is to be called."""

    model_config = ConfigDict(extra="forbid")

    name: str


@router.get("/projects/{project}/labels")
def list_labels(project: ProjectInPath, app: Context) -> dict[str, Any]:
    """Return a project's labels by name, with how many images carry each, and how many as their default."""
    return {"labels": [asdict(label) for label in label_counts(app.workspace.database, project.id)]}


@router.post("/projects/{project}/labels", status_code=201)
def make_label(wanted: LabelName, project: ProjectInPath, app: Context) -> dict[str, str]:
    """Make a label that no image carries yet."""
    return {"name": create_label(app.workspace, project, wanted.name)}
