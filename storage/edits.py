"""What a person changes on many images at once: labels on and off, default label, state, split; in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from fieldmark.storage.annotations import write_events
from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, now
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import LARGEST_ID
from fieldmark.storage.labels import ensure_labels, label_ids


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be true of every chosen image afterwards; a label is never both added and removed."""

    add: tuple[str, ...] = ()
    """An image that carries one of them already gets the first such label as its default."""
    remove: tuple[str, ...] = ()
    default: str | None = None
    """Becomes the default label of those images that carry it."""
    state: str | None = None
    """`unlabelled`, `none-of-these` or `ignored`; an image with labels stays `labelled`."""
    split: str | None = None
    """`train`, `validation`, `test`, or `none` to take images out of every user-defined set."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did, as image ids in the order they were named."""

    changed: tuple[int, ...]
    conflicts: tuple[int, ...]
    """Left alone, because somebody else changed them since the revision that was named."""
    kept_labelled: tuple[int, ...]
    """Asked for another state, but they carry labels."""


@dataclass(frozen=True, slots=True)
class _Image:
    """What an edit can change of an image."""

    labels: tuple[int, ...]
    """Label ids, oldest first."""
    default: int | None
    state: str
    split: str | None


class _Change(NamedTuple):
    image_id: int
    before: _Image
    after: _Image


def edit_images(
    cursor: Cursor,
    project_id: int,
    image_ids: Sequence[int],
    edit: Edit,
    author: str,
    revisions: Mapping[int, int],
) -> Edited:
    """Apply an edit to images of a project and write the history of what changed.

    `revisions` gives, for some or all images, the revision that the person saw. Raises `FieldmarkError` naming ids
    that are not of the project, or labels to remove that it doesn't have.
    """
    found = _read(cursor, project_id, image_ids)
    strange = [image_id for image_id in image_ids if image_id not in found]
    if strange:
        more = f" and {len(strange) - 10} more" if len(strange) > 10 else ""
        raise FieldmarkError(
            f"nothing was changed, because this project has no image {', '.join(map(str, strange[:10]))}{more}: "
            "read the list of images again"
        )
    conflicts = [i for i in image_ids if i in revisions and found[i][0] != revisions[i]]
    left_alone = set(conflicts)
    chosen = [image_id for image_id in image_ids if image_id not in left_alone]
    numbers = _numbers(cursor, project_id, edit, bool(chosen))
    changes = [
        _Change(image_id, found[image_id][1], _edited(found[image_id][1], edit, numbers))
        for image_id in chosen
    ]
    changed = [change for change in changes if change.after != change.before]
    if changed:
        _write(cursor, changed, author)
    kept = [c.image_id for c in changes if edit.state and c.after.labels]
    return Edited(tuple(change.image_id for change in changed), tuple(conflicts), tuple(kept))


def _read(cursor: Cursor, project_id: int, image_ids: Sequence[int]) -> dict[int, tuple[int, _Image]]:
    """Return {image id: (revision, what can change)}."""
    rows = cursor.execute(
        """
        select i.id, i.revision, i.default_label_id, i.state, i.split, l.labels
        from image i left join (
            select image_id, list(label_id order by position) as labels from annotation
            where image_id in (select unnest($ids::bigint[])) group by image_id) l on l.image_id = i.id
        where i.project_id = $project and i.id in (select unnest($ids::bigint[]))
        """,
        {"ids": [image_id for image_id in image_ids if abs(image_id) <= LARGEST_ID], "project": project_id},
    ).fetchall()
    return {row[0]: (row[1], _Image(tuple(row[5] or ()), *row[2:5])) for row in rows}


def _numbers(cursor: Cursor, project_id: int, edit: Edit, adding: bool) -> dict[str, int]:
    """Return {label: id} of all that the edit names; labels to add come into being."""
    numbers = ensure_labels(cursor, project_id, edit.add) if adding and edit.add else {}
    others = [*edit.remove, *([edit.default] if edit.default is not None else [])]
    numbers |= label_ids(cursor, project_id, others)
    missing = [name for name in others if name not in numbers and name not in edit.add]
    if missing:
        raise FieldmarkError(
            f"nothing was changed, because this project has no label {', '.join(map(repr, missing))}: "
            "read the list of labels again"
        )
    return numbers


def _edited(image: _Image, edit: Edit, numbers: Mapping[str, int]) -> _Image:
    gone = {numbers[name] for name in edit.remove}
    added = [numbers[name] for name in edit.add]
    labels = tuple(dict.fromkeys([*(i for i in image.labels if i not in gone), *added]))
    again = [label for label in added if label in image.labels]
    wishes = [numbers[edit.default] if edit.default is not None else None, *again, image.default, *labels]
    state = image.state
    if labels:
        state = "labelled"
    elif edit.state or state == "labelled":
        state = edit.state or "unlabelled"
    split = image.split if edit.split is None else edit.split
    return _Image(
        labels,
        next((label for label in wishes if label in labels), None),
        state,
        None if split == "none" else split,
    )


def _write(cursor: Cursor, changes: Sequence[_Change], author: str) -> None:
    stamp = now()
    # The images first: two writers of one image then meet here, where the later one is sent round again.
    schema = [("id", "int64"), ("label_id", "int64"), ("state", "string"), ("split", "string")]
    rows = [(c.image_id, c.after.default, c.after.state, c.after.split) for c in changes]
    with incoming(cursor, schema, rows):
        cursor.execute(
            "update image set default_label_id = n.label_id, state = n.state, split = n.split,"
            " revision = revision + 1 from incoming n where image.id = n.id"
        ).fetchall()
    removed = [
        (c.image_id, label) for c in changes for label in c.before.labels if label not in c.after.labels
    ]
    added = [(c.image_id, label) for c in changes for label in c.after.labels if label not in c.before.labels]
    _delete(cursor, removed)
    _insert(cursor, added, author, stamp)
    for kind, events in _events(cursor, changes, removed, added):
        write_events(cursor, kind, events, "human", author, stamp)


def _delete(cursor: Cursor, pairs: Sequence[tuple[int, int]]) -> None:
    if not pairs:
        return
    with incoming(cursor, [("image_id", "int64"), ("label_id", "int64")], pairs):
        cursor.execute(
            "delete from annotation using incoming n"
            " where annotation.image_id = n.image_id and annotation.label_id = n.label_id"
        ).fetchall()


def _insert(cursor: Cursor, pairs: Sequence[tuple[int, int]], author: str, stamp: datetime) -> None:
    if not pairs:
        return
    schema = [("image_id", "int64"), ("label_id", "int64"), ("place", "int64")]
    with incoming(cursor, schema, [(*pair, place) for place, pair in enumerate(pairs)]):
        cursor.execute(
            "insert into annotation (image_id, label_id, source, author, created)"
            " select image_id, label_id, 'human', ?, ? from (select * from incoming order by place)",
            [author, stamp],
        ).fetchall()


def _events(
    cursor: Cursor,
    changes: Sequence[_Change],
    removed: Sequence[tuple[int, int]],
    added: Sequence[tuple[int, int]],
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield each kind of history entry with (image id, value, previous value), labels by their names of today."""
    defaults = [
        (c.image_id, c.after.default, c.before.default)
        for c in changes
        if c.after.default not in (None, c.before.default)
    ]
    used = {label for _, label in [*removed, *added]} | {label for row in defaults for label in row[1:]}
    names = dict(
        cursor.execute(
            "select id, name from label where id in (select unnest(?::integer[]))", [list(used - {None})]
        ).fetchall()
    )
    yield "remove", [(image_id, names[label], None) for image_id, label in removed]
    yield "add", [(image_id, names[label], None) for image_id, label in added]
    yield "default", [(image_id, names[label], names.get(before)) for image_id, label, before in defaults]
    for kind in ("state", "split"):
        values = [(c.image_id, getattr(c.after, kind), getattr(c.before, kind)) for c in changes]
        yield kind, [row for row in values if row[1] != row[2]]
