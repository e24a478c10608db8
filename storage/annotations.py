"""Annotations: who says which image has which label, one default label per image, and the history of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.labels import ensure_labels

AnnotationSource = Literal["human", "import", "suggestion"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says about one image: labels to add, or a state, or a split."""

    image_id: int
    labels: tuple[str, ...] = ()
    default: str | None = None
    """The label that becomes the default; None keeps the one there is, or takes the first."""
    state: str | None = None
    """`none-of-these` or `ignored`; a labelled image keeps its labels and stays `labelled`."""
    split: str | None = None
    confidences: tuple[float | None, ...] = ()
    """One for each label, or empty."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What applying statements did."""

    images: int
    annotations: int
    defaults: int
    states: int
    splits: int


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of an image's history."""

    kind: str
    value: str | None
    previous: str | None
    source: str
    author: str
    happened: datetime


_SCHEMA = [
    ("image_id", "int64"), ("label_id", "int64"), ("place", "int64"), ("is_default", "bool"),
    ("confidence", "double"),
]  # fmt: skip


def apply_statements(
    cursor: Cursor, project_id: int, statements: Sequence[Statement], source: AnnotationSource, author: str
) -> Changed:
    """Apply statements in order, once each however often repeated, and write the history of what changed."""
    ids = ensure_labels(cursor, project_id, [label for s in statements for label in s.labels])
    rows: list[tuple[Any, ...]] = []
    for statement in statements:
        confidences = statement.confidences or (None,) * len(statement.labels)
        for label, confidence in zip(statement.labels, confidences, strict=True):
            rows.append((statement.image_id, ids[label], len(rows), label == statement.default, confidence))
    stamp = now()
    touched: set[int] = set()
    with incoming(cursor, _SCHEMA, rows):
        added = _add(cursor, source, author, stamp)
        defaults = _set_defaults(cursor, source, author, stamp)
    touched.update(added, defaults)
    labelled = _set_column(
        cursor, "state", [(i, "labelled") for i in dict.fromkeys(added)], source, author, stamp
    )
    unlabelled = [(s.image_id, s.state) for s in statements if s.state and not s.labels]
    states = _set_column(cursor, "state", _without_labels(cursor, unlabelled), source, author, stamp)
    splits = _set_column(
        cursor, "split", [(s.image_id, s.split) for s in statements if s.split], source, author, stamp
    )
    touched.update(labelled, states, splits)
    cursor.execute(
        "update image set revision = revision + 1 where id in (select unnest(?))", [list(touched)]
    ).fetchall()
    return Changed(len(touched), len(added), len(defaults), len(states), len(splits))


def _add(cursor: Cursor, source: str, author: str, stamp: datetime) -> list[int]:
    rows = cursor.execute(
        """
        insert into annotation (image_id, label_id, source, confidence, author, created)
        select image_id, label_id, ?, confidence, ?, ? from (
            select image_id, label_id, min(place) as place, any_value(confidence) as confidence
            from incoming n
            where not exists (select 1 from annotation a where a.image_id = n.image_id and a.label_id = n.label_id)
            group by image_id, label_id order by place)
        returning image_id, label_id
        """,
        [source, author, stamp],
    ).fetchall()
    _record(cursor, "add", [(image_id, label_id, None) for image_id, label_id in rows], source, author, stamp)
    return [image_id for image_id, _ in rows]


def _set_defaults(cursor: Cursor, source: str, author: str, stamp: datetime) -> list[int]:
    rows = cursor.execute(
        """
        with wanted as (
            select image_id, coalesce(arg_max(label_id, place) filter (where is_default), arg_min(label_id, place))
                as label_id, bool_or(is_default) as asked
            from incoming group by image_id)
        select w.image_id, w.label_id, i.default_label_id from wanted w join image i on i.id = w.image_id
        where (asked or i.default_label_id is null) and i.default_label_id is distinct from w.label_id
        """
    ).fetchall()
    if rows:
        cursor.execute(
            "update image set default_label_id = n.label_id from "
            "(select unnest(?) as image_id, unnest(?) as label_id) n where image.id = n.image_id",
            [[row[0] for row in rows], [row[1] for row in rows]],
        ).fetchall()
        _record(cursor, "default", rows, source, author, stamp)
    return [row[0] for row in rows]


def _set_column(
    cursor: Cursor, column: str, wanted: Sequence[tuple[int, str]], source: str, author: str, stamp: datetime
) -> list[int]:
    """Set `state` or `split` where it differs; the last statement about an image wins."""
    latest = dict(wanted)
    if not latest:
        return []
    changed = cursor.execute(
        f"select i.id, n.value, i.{column} from (select unnest(?) as id, unnest(?) as value) n"
        f" join image i on i.id = n.id where i.{column} is distinct from n.value",
        [list(latest), list(latest.values())],
    ).fetchall()
    if not changed:
        return []
    cursor.execute(
        f"update image set {column} = n.value from (select unnest(?) as id, unnest(?) as value) n where image.id = n.id",
        [[row[0] for row in changed], [row[1] for row in changed]],
    ).fetchall()
    write_events(cursor, column, changed, source, author, stamp)
    return [row[0] for row in changed]


def _without_labels(cursor: Cursor, wanted: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    labelled = cursor.execute(
        "select distinct image_id from annotation where image_id in (select unnest(?))",
        [[image_id for image_id, _ in wanted]],
    ).fetchall()
    carrying = {image_id for (image_id,) in labelled}
    return [(image_id, state) for image_id, state in wanted if image_id not in carrying]


def _record(
    cursor: Cursor,
    kind: str,
    rows: Sequence[tuple[int, int, int | None]],
    source: str,
    author: str,
    stamp: datetime,
) -> None:
    """Write history entries for (image id, label id, previous label id) with the labels' names of today."""
    label_ids = {label_id for row in rows for label_id in row[1:] if label_id is not None}
    names = dict(
        cursor.execute(
            "select id, name from label where id in (select unnest(?))", [list(label_ids)]
        ).fetchall()
    )
    named = [(image_id, names[label_id], names.get(previous)) for image_id, label_id, previous in rows]
    write_events(cursor, kind, named, source, author, stamp)


def write_events(
    cursor: Cursor, kind: str, rows: Sequence[tuple[Any, ...]], source: str, author: str, stamp: datetime
) -> None:
    """Write history entries of one kind for (image id, value, previous value)."""
    schema = [("image_id", "int64"), ("value", "string"), ("previous", "string")]
    with incoming(cursor, schema, rows, table="events"):
        cursor.execute(
            "insert into image_event (image_id, kind, value, previous, source, author, happened)"
            " select image_id, ?, value, previous, ?, ?, ? from events",
            [kind, source, author, stamp],
        ).fetchall()


def history(db: Database, image_id: int) -> list[Event]:
    """Return who changed what on an image, oldest first."""
    rows = db.rows(
        "select kind, value, previous, source, author, happened from image_event where image_id = ? order by id",
        [image_id],
    )
    return [Event(*row) for row in rows]
