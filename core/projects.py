"""Projects as a person names them: by id or by name."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal
from unicodedata import category

from fieldmark.core.counted import counted
from fieldmark.core.pictures.showing import forget_pictures
from fieldmark.storage import projects
from fieldmark.storage.errors import FieldmarkError, NotFound, NotSaved
from fieldmark.storage.images import forget_unused
from fieldmark.storage.projects import Contents, Project
from fieldmark.storage.workspace import Workspace

DEFAULT_BACKBONE = "embedded"
LONGEST_NAME = 200
LEAST_LABELS = 2
Page = Literal["upload", "label", "train", "predict"]


def create_project(workspace: Workspace, name: str) -> Project:
    """Make a project with the embedded backbone; raises `FieldmarkError` for a name that can't be used."""
    return projects.create_project(workspace.database, check_name(name), DEFAULT_BACKBONE)


def check_name(name: str) -> str:
    """Return the name as it will be stored; raises `FieldmarkError` for one that no project can have."""
    cleaned = name.strip()
    if not cleaned:
        raise FieldmarkError("a project needs a name")
    if len(cleaned) > LONGEST_NAME or any(category(c) in ("Cc", "Cs", "Zl", "Zp") for c in cleaned):
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
    if found is None and not any(
        category(c) in ("Cc", "Cs") for c in named
    ):  # no project's, nor the database's
        found = projects.project_by_name(db, named.strip())
    if found:
        return found
    have = ", ".join(f"{project.name} ({project.id})" for project in projects.projects(db)[:10])
    raise NotFound(
        f"there is no project {named[:80]!r}: " + (f"there are {have}" if have else "make one first")
    )


def rename_project(workspace: Workspace, project: Project, name: str) -> Project:
    """Give a project another name and return it; raises `FieldmarkError` for a name that can't be used."""
    cleaned = check_name(name)
    projects.rename_project(workspace.database, project.id, cleaned)
    return replace(project, name=cleaned)


def holdings(workspace: Workspace, project: Project) -> str:
    """Return what deleting a project would lose, as words: '12 images (3 labelled) and 1 model'."""
    held = projects.contents(workspace.database).get(project.id, Contents())
    return f"{counted(held.images, 'image')} ({held.labelled:,} labelled) and {counted(held.models, 'model')}"


def delete_project(workspace: Workspace, project: Project) -> None:
    """Forget a project with its images, labels, history, models, runs and predictions, then remove their files.

    A picture's file stays while another project shows it. Embeddings stay: their cache knows pictures by content
    and is only ever added to, so the same pictures uploaded again cost no time.
    Raises `FieldmarkError` naming what still runs in it, and then changes nothing.
    """
    db = workspace.database
    left = db.write(lambda cursor: projects.delete_project(cursor, project.id))
    with suppress(NotSaved):  # uploads kept using the same pictures: the next start removes what nobody shows
        workspace.remove_pictures(lambda: db.write(lambda cursor: forget_unused(cursor, left.pictures)))
    forget_pictures(workspace)
    for model_id in left.models:
        shutil.rmtree(workspace.model_folder(model_id), ignore_errors=True)
    for run_id in left.runs:
        shutil.rmtree(workspace.run_folder(run_id), ignore_errors=True)


def overview(workspace: Workspace) -> list[dict[str, Any]]:
    """Return each project as plain data: id, name, counts of images, labelled images and models, backbone, next step.

    `next` is {"page": "upload" | "label" | "train" | "predict", "sentence": what to do there}.
    """
    held = projects.contents(workspace.database)
    found = []
    for project in projects.projects(workspace.database):
        has = held.get(project.id, Contents())
        page, sentence = _next_step(has)
        found.append(
            {
                "id": project.id,
                "name": project.name,
                "images": has.images,
                "labelled": has.labelled,
                "models": has.models,
                "backbone": project.backbone,
                "next": {"page": page, "sentence": sentence},
            }
        )
    return found


def _next_step(has: Contents) -> tuple[Page, str]:
    if not has.images:
        return "upload", "Upload images."
    unlabelled = counted(has.unlabelled, "image")
    if has.models:
        if has.unlabelled > has.labelled:
            return "label", f"Label some of the {unlabelled} without a label, or predict new ones."
        more = (
            f", or label the other {unlabelled} and train again"
            if has.unlabelled
            else ", or compare models"
            if has.models > 1
            else ""
        )
        return "predict", f"Predict new images{more}."
    if has.learnable >= LEAST_LABELS:
        more = f", or label {has.unlabelled:,} more first" if has.unlabelled else ""
        return "train", f"Train a model on the {counted(has.labelled, 'labelled image')}{more}."
    if not has.unlabelled:
        return "upload", "Upload more images: training needs two labels with at least two images each."
    if not has.labelled:
        return "label", f"Label your {unlabelled}: none is labelled yet."
    return "label", (
        f"Label more images: {has.labelled:,} of {has.images:,} are labelled, and training needs two labels with at "
        "least two images each."
    )
