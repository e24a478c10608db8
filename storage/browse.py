"""A project's images a page at a time: filtered, counted, and as tiles with what a grid shows of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from fieldmark.storage.database import Cursor, Database
from fieldmark.storage.images import LARGEST_ID

FEW = 600
"""Pictures that are looked up one by one; for more, reading the table is faster."""


@dataclass(frozen=True, slots=True)
class TileLabel:
    """A label on a tile; `default` on the one that single-label training uses."""

    name: str
    default: bool


@dataclass(frozen=True, slots=True)
class Tile:
    """What a grid shows of an image; width and height in pixels, upright; labels in the order they were added."""

    id: int
    name: str
    sha256: str
    width: int
    height: int
    state: str
    split: str | None
    revision: int
    labels: tuple[TileLabel, ...]


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images of a project; all that is given must hold. A label that nobody knows is on no image."""

    text: str | None = None
    """Part of the name, in any case."""
    labels: tuple[str, ...] = ()
    """The image carries each of these."""
    without: tuple[str, ...] = ()
    """The image carries none of these."""
    default: str | None = None
    """The image's default label."""
    state: str | None = None
    split: str | None = None
    """`train`, `validation` or `test`; `none` for images in no user-defined set."""
    ids: tuple[int, ...] | None = None


Condition = tuple[str, list[Any]]
"""SQL over `image i`, and the values of its parameters: nothing that a person typed is ever part of the SQL."""

_CARRYING = (
    "select a.image_id from annotation a join label l on l.id = a.label_id where l.project_id = ? and l.name"
)


def _with_labels(project_id: int, names: Sequence[str]) -> Condition:
    one = f"i.id in ({_CARRYING} = ?)"
    return " and ".join([one] * len(names)), [value for name in names for value in (project_id, name)]


def _without_labels(project_id: int, names: Sequence[str]) -> Condition:
    return f"i.id not in ({_CARRYING} in (select unnest(?)))", [project_id, list(names)]


def _with_default(project_id: int, name: str) -> Condition:
    sql = "i.default_label_id = (select id from label where project_id = ? and name = ?)"
    return sql, [project_id, name]


def _in_split(project_id: int, split: str) -> Condition:
    return ("i.split is null", []) if split == "none" else ("i.split = ?", [split])


def _with_ids(project_id: int, ids: Sequence[int]) -> Condition:
    return "i.id in (select unnest(?::bigint[]))", [[number for number in ids if abs(number) <= LARGEST_ID]]


_CONDITIONS: Mapping[str, Callable[[int, Any], Condition]] = {
    "text": lambda project_id, text: ("contains(lower(i.name), lower(?))", [text]),
    "labels": _with_labels,
    "without": _without_labels,
    "default": _with_default,
    "state": lambda project_id, state: ("i.state = ?", [state]),
    "split": _in_split,
    "ids": _with_ids,
}
"""{field of `ImageFilter`: its condition}, for every field."""


def condition(project_id: int, chosen: ImageFilter) -> Condition:
    """Return a filter as SQL over `image i`; fields that are None or () ask for nothing."""
    parts: list[Condition] = [("i.project_id = ?", [project_id])]
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        if value is not None and (value != () or field.name == "ids"):
            parts.append(_CONDITIONS[field.name](project_id, value))
    return " and ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]


def image_page(
    db: Database, project_id: int, chosen: ImageFilter, after: int, limit: int
) -> tuple[list[Tile], int]:
    """Return the first `limit` images with an id above `after`, by id, and how many the filter holds in all.

    Both are of one moment. An image that is added meanwhile gets a higher id: it moves no page.
    """
    where, arguments = condition(project_id, chosen)
    with db.cursor() as cursor:
        cursor.begin()  # ends with the cursor
        # One reading for both: the count has to look at every image anyway.
        [(total, ids)] = cursor.execute(
            f"select count(*), min(i.id, ?::bigint) filter (i.id > ?::bigint) from image i where {where}",
            [limit, after, *arguments],
        ).fetchall()
        return tiles(cursor, ids or []), total


def count_images(db: Database, project_id: int, chosen: ImageFilter) -> int:
    """Return how many images match."""
    where, arguments = condition(project_id, chosen)
    found = db.row(f"select count(*) from image i where {where}", arguments)
    return int(found[0]) if found else 0


def image_ids(db: Database, project_id: int, chosen: ImageFilter) -> list[int]:
    """Return the ids of all images that match, in order."""
    where, arguments = condition(project_id, chosen)
    return [
        image_id
        for (image_id,) in db.rows(f"select i.id from image i where {where} order by i.id", arguments)
    ]


def tiles(cursor: Cursor, image_ids: Sequence[int]) -> list[Tile]:
    """Return the images that exist as tiles, in the order given."""
    rows = cursor.execute(
        "select id, name, sha256, state, split, revision, default_label_id from image"
        " where id in (select unnest(?::bigint[]))",
        [list(image_ids)],
    ).fetchall()
    sizes = _sizes(cursor, [row[2] for row in rows])
    labels = _labels(cursor, image_ids)
    found: dict[int, Tile] = {}
    for image_id, name, sha256, state, split, revision, default in rows:
        width, height = sizes[sha256]
        carried = tuple(TileLabel(label, number == default) for number, label in labels.get(image_id, []))
        found[image_id] = Tile(image_id, name, sha256, width, height, state, split, revision, carried)
    return [found[image_id] for image_id in image_ids if image_id in found]


def _sizes(cursor: Cursor, sha256s: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return {sha256: (width, height)}."""
    columns = "select sha256, width, height from content where sha256"
    if len(sha256s) > FEW:
        rows = cursor.execute(f"{columns} in (select unnest(?))", [list(sha256s)]).fetchall()
    else:
        # Only values written one by one are looked up in the index; with a million pictures that is ten times as fast.
        marks = ", ".join("?" * len(sha256s)) or "null"
        rows = cursor.execute(f"{columns} in ({marks})", list(sha256s)).fetchall()
    return {sha256: (width, height) for sha256, width, height in rows}


def _labels(cursor: Cursor, image_ids: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """Return {image id: (label id, name) in the order they were added}."""
    rows = cursor.execute(
        "select a.image_id, a.label_id, l.name from annotation a join label l on l.id = a.label_id"
        " where a.image_id in (select unnest(?::bigint[])) order by a.position",
        [list(image_ids)],
    ).fetchall()
    carried: dict[int, list[tuple[int, str]]] = {}
    for image_id, label_id, name in rows:
        carried.setdefault(image_id, []).append((label_id, name))
    return carried
