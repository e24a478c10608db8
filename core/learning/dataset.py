"""Which images a training learns from: chosen by task and labels, split, near-duplicates kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fieldmark.core.contracts.terms import Task
from fieldmark.core.learning.splitting import stratified_split
from fieldmark.core.pictures.duplicates import duplicate_groups
from fieldmark.core.pictures.perceptual import NEAR
from fieldmark.storage import images
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import ImageRow
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FEWEST_IMAGES = 2
_HINT = " (single-label counts an image under its default label alone, the first it got)"
LARGEST_GROUP = 0.5
"""Share of the images above which a group of near-duplicates fits no split and is taken apart."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The table a worker reads (image_id, name, sha256, split, group, labels) and what to say about it."""

    table: pa.Table
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """{label: {split: images}}."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The images of a training, row by row."""

    images: list[ImageRow]
    marks: list[list[int]]
    """Places in `labels`."""
    splits: NDArray[np.str_]
    groups: NDArray[np.int64]
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """{label: {split: images}}."""
    notes: tuple[str, ...]


def gather(
    workspace: Workspace,
    project: Project,
    task: Task,
    wanted: Sequence[str],
    validation: float | None,
    seed: int,
    image_ids: Sequence[int] | None = None,
) -> Dataset:
    """Return what a worker needs of the images that `choose` picks; raises as it does."""
    chosen = choose(workspace, project, task, wanted, validation, seed, image_ids)
    return Dataset(_table(chosen), chosen.labels, chosen.counts, chosen.notes)


def choose(
    workspace: Workspace,
    project: Project,
    task: Task,
    wanted: Sequence[str],
    validation: float | None,
    seed: int,
    image_ids: Sequence[int] | None = None,
) -> Chosen:
    """Choose and split the images of a training; `validation` is a fraction, or None for the user-defined set.

    `image_ids` limits it to these images. Images marked `test` are only evaluated. Raises `FieldmarkError` when there is too little to learn from, such
    as a label all of whose images are held back.
    """
    import numpy as np

    rows = images.image_rows(workspace.database, project.id, image_ids)
    if image_ids is not None:
        _check_chosen(rows, image_ids, project)
    labels = _labels(rows, task, wanted, project)
    position = {label: index for index, label in enumerate(labels)}
    kept: list[ImageRow] = []
    marks: list[list[int]] = []
    left_out = 0
    for row in rows:
        carried = [row.default_label] if task == "single-label" else row.labels
        chosen = [position[label] for label in carried if label in position]
        if (row.state == "labelled" and chosen) or (task != "single-label" and row.state == "none-of-these"):
            kept.append(row)
            marks.append(chosen)
        elif row.state == "labelled":
            left_out += 1
    _check_enough(labels, marks, task)
    targets = np.zeros((len(kept), len(labels)), dtype=np.uint8)
    for index, chosen in enumerate(marks):
        targets[index, chosen] = 1
    groups, regrouped = _groups(kept)
    splits, notes = _split(kept, targets, groups, validation, seed)
    _check_train(labels, targets[splits == "train"])
    if regrouped:
        notes.append(
            f"{regrouped} of the {len(kept)} images look nearly alike, as from a fixed camera: "
            "of these, only closer copies were kept on one side of the split"
        )
    if left_out:
        notes.append(f"{left_out} labelled images carry none of the chosen labels and are left out")
    unlabelled = sum(row.state == "unlabelled" for row in rows)
    if unlabelled:
        notes.append(f"{unlabelled} images have no label yet and are left out")
    sums = {
        split: targets[splits == split].sum(axis=0, dtype=np.int64)
        for split in ("train", "validation", "test")
    }
    counts = {
        label: {split: int(each[index]) for split, each in sums.items()} for label, index in position.items()
    }
    return Chosen(kept, marks, splits, groups, labels, counts, tuple(notes))


def _check_chosen(rows: Sequence[ImageRow], image_ids: Sequence[int], project: Project) -> None:
    if not image_ids:
        raise FieldmarkError("no image is chosen: choose some, or train with all images of the project")
    unknown = sorted(set(image_ids) - {row.id for row in rows})
    if unknown:
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        raise FieldmarkError(
            f"{project.name!r} has no image with the id {', '.join(map(str, unknown[:10]))}{more}: choose again"
        )


def _labels(rows: Sequence[ImageRow], task: Task, wanted: Sequence[str], project: Project) -> tuple[str, ...]:
    carried = {
        label
        for row in rows
        if row.state == "labelled"
        for label in ([row.default_label] if task == "single-label" else row.labels)
        if label is not None
    }
    unknown = [label for label in wanted if label not in carried]
    if unknown:
        have = ", ".join(sorted(carried)[:20]) or "none yet"
        kind = "default label of an image" if task == "single-label" else "label of an image"
        raise FieldmarkError(
            f"{', '.join(map(repr, unknown))} is no {kind} in {project.name!r}: there are {have}"
        )
    labels = tuple(sorted(set(wanted) or carried))
    if not labels:
        raise FieldmarkError(f"no image of {project.name!r} is labelled: label some first, or import labels")
    if task == "single-label" and len(labels) < 2:
        raise FieldmarkError(
            f"single-label training needs at least two labels, and {labels[0]!r} is the only one: "
            "label some images otherwise (for example as 'background')"
        )
    return labels


def _check_enough(labels: Sequence[str], marks: Sequence[Sequence[int]], task: Task) -> None:
    counts = [0] * len(labels)
    for chosen in marks:
        for index in chosen:
            counts[index] += 1
    few = [
        f"{label!r} ({count})" for label, count in zip(labels, counts, strict=True) if count < FEWEST_IMAGES
    ]
    if few:
        raise FieldmarkError(
            f"each label needs at least {FEWEST_IMAGES} images, one to learn from and one to check with; too few have "
            f"{', '.join(few[:10])}{_HINT if task == 'single-label' else ''}: label more, or choose other labels"
        )


def _check_train(labels: Sequence[str], targets: NDArray[np.uint8]) -> None:
    missing = [label for label, count in zip(labels, targets.sum(axis=0), strict=True) if count == 0]
    if missing:
        raise FieldmarkError(
            f"every image of {', '.join(map(repr, missing[:10]))} is in the validation or test set, so there is none to "
            "learn from: leave some for training, or choose other labels"
        )


def _groups(rows: Sequence[ImageRow]) -> tuple[NDArray[np.int64], int]:
    """Return near-duplicate groups, and how many images lay in one that was too large and was grouped anew.

    Frames of a fixed camera chain into one group that no split could take apart. Inside such a group, and nowhere
    else, the distance shrinks until no part holds more than `LARGEST_GROUP` of the images.
    """
    import numpy as np

    shas, hashes = [row.sha256 for row in rows], [row.perceptual_hash for row in rows]
    groups = duplicate_groups(shas, hashes, NEAR)
    regrouped = 0
    for distance in (NEAR // 2, NEAR // 4, 0):
        sizes = np.bincount(groups)
        if sizes.max() <= LARGEST_GROUP * len(rows):
            break
        chosen = np.flatnonzero(groups == sizes.argmax())
        regrouped = regrouped or len(chosen)
        parts = duplicate_groups([shas[row] for row in chosen], [hashes[row] for row in chosen], distance)
        groups[chosen] = np.where(parts == 0, groups[chosen], parts + len(sizes) - 1)
    return groups, regrouped


def _split(
    rows: Sequence[ImageRow],
    targets: NDArray[np.uint8],
    groups: NDArray[np.int64],
    validation: float | None,
    seed: int,
) -> tuple[NDArray[np.str_], list[str]]:
    import numpy as np

    notes: list[str] = []
    splits = np.array(["test" if row.split == "test" else "train" for row in rows], dtype="<U10")
    if validation is None:
        marked = np.array([row.split == "validation" for row in rows])
        if not marked.any():
            raise FieldmarkError(
                "the user-defined validation set holds no image of these labels: put some into it, read labels in "
                "together with their sets, or let a share of the images be chosen for validation"
            )
        splits[marked] = "validation"
        shared = set(groups[splits == "train"]) & set(groups[marked])
        leaked = int(np.isin(groups[marked], list(shared)).sum()) if shared else 0
        if leaked:
            notes.append(
                f"{leaked} validation images have a near-duplicate among the training images: the figures flatter"
            )
    else:
        unused = sum(row.split == "validation" for row in rows)
        if unused:
            notes.append(
                f"{unused} images are marked as the user-defined validation set, which this training did not use: "
                "choose user-defined for validation to use it"
            )
        learn = np.flatnonzero(splits == "train")
        if len(learn) and validation > 0:
            chosen = stratified_split(targets[learn], groups[learn], validation, seed)
            splits[learn[chosen]] = "validation"
    shared = set(groups[splits == "test"]) & set(groups[splits != "test"])
    if shared:
        notes.append(
            "some test images have a near-duplicate among the other images: the test figures flatter"
        )
    return splits, notes


def _table(chosen: Chosen) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "image_id": pa.array([row.id for row in chosen.images], type=pa.int64()),
            "name": [row.name for row in chosen.images],
            "sha256": [row.sha256 for row in chosen.images],
            "split": chosen.splits.tolist(),
            "group": pa.array(chosen.groups, type=pa.int64()),
            "labels": pa.array(chosen.marks, type=pa.list_(pa.int64())),
        }
    )
