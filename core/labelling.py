"""Labelling as a person does it: many images at once, new labels, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fieldmark.core.contracts.terms import SPLITS
from fieldmark.storage import browse, labels
from fieldmark.storage.browse import Tile
from fieldmark.storage.database import Cursor
from fieldmark.storage.edits import Edit, Edited, edit_images
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.labels import check_label
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

MOST_IMAGES = 10_000
MOST_LABELS = 100
SETTABLE = ("unlabelled", "none-of-these", "ignored")
"""The states a person gives; an image is `labelled` by its labels."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of the chosen images, and how each of them looks now."""

    edited: Edited
    tiles: list[Tile]


def label_images(
    workspace: Workspace,
    project: Project,
    image_ids: Sequence[int],
    edit: Edit,
    *,
    author: str = "local",
    revisions: Mapping[int, int] | None = None,
) -> Labelled:
    """Change labels, default label, state or split of up to 10,000 images in one transaction.

    Adding a label to images that carry it already makes it their default label. An image with labels keeps them
    and stays `labelled` whatever state is asked for. With `revisions`, {image id: the revision that the person
    saw}, an image that somebody changed since is left alone and named as a conflict.
    Raises `FieldmarkError` when something can't be used; then nothing is changed.
    """
    chosen = list(dict.fromkeys(image_ids))
    cleaned = _checked(chosen, edit)

    def change(cursor: Cursor) -> Labelled:
        edited = edit_images(cursor, project.id, chosen, cleaned, author, revisions or {})
        return Labelled(edited, browse.tiles(cursor, chosen))

    return workspace.database.write(change)


def create_label(workspace: Workspace, project: Project, name: str) -> str:
    """Make a label and return it as it is stored; raises `FieldmarkError` when it is taken or can't be used."""
    cleaned = check_label(name)
    labels.create_label(workspace.database, project.id, cleaned)
    return cleaned


def _checked(image_ids: Sequence[int], edit: Edit) -> Edit:
    if not image_ids:
        raise FieldmarkError("no image is named: choose at least one")
    if len(image_ids) > MOST_IMAGES:
        raise FieldmarkError(f"{len(image_ids)} images are too many at once: change {MOST_IMAGES} at a time")
    if len(edit.add) + len(edit.remove) > MOST_LABELS:
        raise FieldmarkError(
            f"{len(edit.add) + len(edit.remove)} labels are too many at once: {MOST_LABELS} is the most"
        )
    if edit == Edit():
        raise FieldmarkError(
            "nothing is to be changed: name labels to add or remove, a default, a state or a split"
        )
    if edit.state is not None and edit.state not in SETTABLE:
        raise FieldmarkError(
            f"the state {edit.state!r} can't be given: it is one of {', '.join(SETTABLE)}; a label makes an image labelled"
        )
    if edit.split not in (None, "none", *SPLITS):
        raise FieldmarkError(f"there is no split {edit.split!r}: it is one of {', '.join(SPLITS)}, none")
    cleaned = replace(
        edit,
        add=tuple(dict.fromkeys(map(check_label, edit.add))),
        remove=tuple(dict.fromkeys(map(check_label, edit.remove))),
        default=None if edit.default is None else check_label(edit.default),
    )
    both = [label for label in cleaned.add if label in cleaned.remove]
    if both:
        raise FieldmarkError(f"the label {both[0]!r} can't be added and removed at once: choose one")
    return cleaned
