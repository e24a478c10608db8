"""Trained models as a person deals with them: found, listed, renamed, deleted."""

from __future__ import annotations

import re
import shutil
from typing import Any

from fieldmark.core.projects import find_project
from fieldmark.core.registry import Registry
from fieldmark.storage import models, predictions, projects, runs
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.models import Model
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def find_model(workspace: Workspace, project: Project, name: str) -> Model:
    """Return a model by name; raises `FieldmarkError` listing what there is."""
    # What can't be a name is not looked up: it may not even be text that the database takes.
    found = models.model_by_name(workspace.database, project.id, name) if MODEL_NAME.fullmatch(name) else None
    if found:
        return found
    have = ", ".join(model.name for model in models.models(workspace.database, project.id)[-10:])
    raise NotFound(
        f"there is no model {name[:80]!r} in project {project.name!r}: "
        + (f"there are {have}" if have else "train one first")
    )


def overview(workspace: Workspace, registry: Registry, project: str | None) -> list[dict[str, Any]]:
    """Return models as plain data; `accuracy` and `f1` are of `best` on its validation images, `problem` says why one
    can't be used."""
    db = workspace.database
    names = {p.id: p.name for p in projects.projects(db)}
    chosen = find_project(workspace, project).id if project is not None else None
    figures = models.validation_figures(db, "best")
    found = []
    for model in models.models(db, chosen):
        accuracy, f1, count = figures.get(model.id, (None, None, 0))
        found.append(
            {
                "project": names.get(model.project_id, ""),
                "name": model.name,
                "task": model.task,
                "backbone": model.backbone,
                "trainer": model.trainer,
                "labels": list(model.labels),
                "accuracy": accuracy,
                "f1": f1,
                "validation_images": count,
                "created": model.created.isoformat(timespec="seconds"),
                "problem": _problem(registry, model),
            }
        )
    return found


def _problem(registry: Registry, model: Model) -> str | None:
    try:
        registry.find("trainer", model.trainer, distribution=model.trainer_distribution)
        registry.find("backbone", model.backbone.split(":")[0], distribution=model.backbone_distribution)
    except FieldmarkError as error:
        return str(error)
    return None


def free_name(workspace: Workspace, project: Project, stem: str, wanted: str | None) -> str:
    """Return the name a model gets, `stem-1` and so on when none is wanted.

    Raises `FieldmarkError` with a free name when `wanted` is taken or not fit for a web address.
    """
    present = {model.name for model in models.models(workspace.database, project.id)}
    coming = {
        run.name
        for run in runs.running(workspace.database)
        if run.project_id == project.id and run.kind == "train"
    }
    taken = present | coming

    def numbered(name: str) -> str:
        number = 1
        while f"{name}-{number}" in taken:
            number += 1
        return f"{name}-{number}"

    if wanted is None:
        return numbered(stem)
    if not MODEL_NAME.fullmatch(wanted):
        cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:60] or stem
        free = cleaned if cleaned not in taken else numbered(cleaned)
        raise FieldmarkError(
            f"{wanted!r} can't be a model's name: letters, digits, '.', '_' and '-', at most 64; {free!r} is free"
        )
    if wanted in taken:
        problem = (
            f"there is a model called {wanted!r} already"
            if wanted in present
            else f"a model called {wanted!r} is being trained now"
        )
        raise FieldmarkError(f"{problem}; {numbered(wanted[:60])!r} is free")
    return wanted


def rename_model(workspace: Workspace, project: Project, model: Model, name: str) -> None:
    """Give a model another name; raises `FieldmarkError` when it can't be used."""
    models.rename_model(workspace.database, model.id, free_name(workspace, project, model.task, name))


def lost_with(workspace: Workspace, model: Model) -> str:
    """Return what deleting a model would lose, in a sentence."""
    later = predictions.later_predictions(workspace.database, model.id)
    made = (
        "the prediction it has made since" if later == 1 else f"the {later:,} predictions it has made since"
    )
    what = f"Its weights, its statistics and {made}" if later else "Its weights and its statistics"
    return f"{what} are lost for good. The images and their labels stay."


def delete_model(workspace: Workspace, model: Model) -> None:
    """Forget a model, then remove its folder; raises `FieldmarkError` while it predicts."""
    if any(run.kind == "predict" and run.model_id == model.id for run in runs.running(workspace.database)):
        raise FieldmarkError(
            f"the model {model.name!r} is predicting: wait until it has finished, or cancel it"
        )
    workspace.database.write(lambda cursor: models.delete_model(cursor, model.id))
    shutil.rmtree(workspace.model_folder(model.id), ignore_errors=True)
