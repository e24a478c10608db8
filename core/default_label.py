"""Makes a label the default of every image that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from fieldmark.storage.browse import ImageFilter, image_ids
from fieldmark.storage.edits import Edit, edit_images
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class MadeDefault:
    """How many images carry the label, and on how many of them another one was the default before."""

    carrying: int
    changed: int


def make_default(workspace: Workspace, project: Project, label: str, *, author: str = "local") -> MadeDefault:
    """Make a label the default of all images that carry it, however many, in one transaction.

    An image that loses the label meanwhile is left as it is. Raises `FieldmarkError` when the project has no such
    label (any more).
    """
    carrying = image_ids(workspace.database, project.id, ImageFilter(labels=(label,)))
    edited = workspace.database.write(
        lambda cursor: edit_images(cursor, project.id, carrying, Edit(default=label), author, {})
    )
    return MadeDefault(len(carrying), len(edited.changed))
