"""Trained models over REST."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core import models
from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.statistics import statistics

router = APIRouter()


class ModelName(BaseModel):
    """What a model is to be called."""

    model_config = ConfigDict(extra="forbid")

    name: str


@router.get("/projects/{project}/models")
def list_models(project: ProjectInPath, app: Context) -> dict[str, Any]:
    """Return a project's models."""
    return {"models": models.overview(app.workspace, app.registry, str(project.id))}


@router.get("/projects/{project}/models/{model}")
def show_model(
    project: ProjectInPath, model: str, app: Context, checkpoint: CheckpointName = "best"
) -> dict[str, Any]:
    """Return what is known about one checkpoint: figures, curve, notes."""
    return statistics(app.workspace, models.find_model(app.workspace, project, model), checkpoint)


@router.patch("/projects/{project}/models/{model}")
def rename_model(wanted: ModelName, project: ProjectInPath, model: str, app: Context) -> dict[str, str]:
    """Give a model another name."""
    found = models.find_model(app.workspace, project, model)
    models.rename_model(app.workspace, project, found, wanted.name)
    return {"name": wanted.name}


@router.delete("/projects/{project}/models/{model}", status_code=204)
def delete_model(project: ProjectInPath, model: str, app: Context) -> None:
    """Forget a model."""
    models.delete_model(app.workspace, models.find_model(app.workspace, project, model))
