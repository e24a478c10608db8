"""Finds out which columns of a label table hold the image, the labels and the split. Not an importer itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fieldmark import PluginError, Split
from fieldmark.plugins.importers.delimited import (
    BOX_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SPLIT_COLUMNS,
    is_number,
    plain,
    share_of_images,
    split_named,
)
from fieldmark.plugins.importers.delimited_rows import Layout

_NUMBERED = re.compile(r"(label|class|tag|category)(_name)?_?\d+")
_ID = re.compile(r"[\w.-]+")
# Tables of other tools whose columns look like labels too, with how sure one may be of them at most.
_OTHER_TOOLS: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"file_attributes", "region_attributes"}), 0.0),
    (frozenset({"pixel_value", "class"}), 0.0),
    (frozenset({"annotation_id", "annotator"}), 0.2),
    (frozenset({"imageid", "labelname"}), 0.2),
    (frozenset({"imageid", "originalurl"}), 0.2),
    (frozenset({"file_name"}), 0.5),
    (frozenset({"image", "xmin", "ymin", "xmax", "ymax", "label"}), 0.5),
    (frozenset({"label_name", "bbox_x", "image_name"}), 0.5),
)
_TRUTH: dict[str, Split] = {
    **dict.fromkeys(("true", "1", "yes"), "validation"),
    **dict.fromkeys(("false", "0", "no"), "train"),
}


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions of the columns that count."""

    image: int
    labels: tuple[int, ...] = ()
    split: int | None = None
    boxes: frozenset[int] = frozenset()
    open_ended: bool = False
    """Without a header, cells beyond the known columns are labels too."""
    sure: float = 0.0
    """0 to 1, that this is a table of images and labels."""
    question: str = ""
    """What must be chosen before labels can be read; empty when nothing."""
    notes: tuple[str, ...] = ()


def find_roles(
    layout: Layout,
    rows: Sequence[list[str]],
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
) -> Roles:
    """Find the columns among a layout's, given some rows and what a person chose.

    Raises `PluginError` when a chosen column is not there.
    """
    columns = [[row[at] for row in rows if len(row) > at] for at in range(len(layout.columns))]
    image_at = position(layout, image) if image else image_column(layout, columns)
    split_at = position(layout, split) if split else split_column(layout, columns, image_at)
    roles = Roles(image_at, split=split_at, boxes=_box_columns(layout, columns, rows, image_at))
    if label:
        whole = label in layout.columns
        names = [label] if whole else [part.strip() for part in label.split(",")]
        return replace(roles, labels=tuple(position(layout, name) for name in names), sure=0.9)
    rest = [at for at in range(len(columns)) if at not in {image_at, split_at} | roles.boxes]
    return (_with_header if layout.header else _without_header)(layout, columns, roles, rest)


def split_reader(title: str) -> Callable[[str], Split | None]:
    """Return what turns the cells of a split column into splits; other words give None."""
    if plain(title) in ("is_valid", "is_validation"):
        return lambda cell: _TRUTH.get(cell.lower())
    return split_named


def limit_of_other_tools(layout: Layout) -> float:
    """Return how sure one may be at most, 0 to 1, because another tool writes a table with these columns."""
    titles = {plain(title) for title in layout.columns} if layout.header else set()
    return min((limit for tool, limit in _OTHER_TOOLS if tool <= titles), default=1.0)


def position(layout: Layout, name: str) -> int:
    """Return where a column stands; raises `PluginError` that lists the columns when there is none."""
    for at, title in enumerate(layout.columns):
        if title == name:
            return at
    for at, title in enumerate(layout.columns):
        if plain(title) == plain(name):
            return at
    shown = ", ".join(layout.columns[:20])
    raise PluginError(f"`{layout.file}` has no column `{name}`. It has: {shown}.")


def image_column(layout: Layout, columns: list[list[str]]) -> int:
    """Return the column with the names of images: known by its title, its values or at best both."""
    shares = [share_of_images(column) for column in columns]
    titles = [plain(title) for title in layout.columns]
    known = [titles.index(name) for name in IMAGE_COLUMNS if layout.header and name in titles]
    likely = [at for at, share in enumerate(shares) if share > 0.8]
    both = [at for at in known if at in likely]
    return (both or likely or known or [0])[0]


def split_column(layout: Layout, columns: list[list[str]], image_at: int) -> int | None:
    """Return the column whose values name splits, if there is one."""
    for at, title in enumerate(layout.columns):
        words = {cell for cell in columns[at] if cell}
        if at == image_at or not words:
            continue
        named = sum(split_reader(title)(word) is not None for word in words)
        if layout.header and plain(title) in SPLIT_COLUMNS and named:
            return at
        # Vertex writes TRAIN, VALIDATION, TEST or UNASSIGNED before the image.
        if not layout.header and at < image_at and named and named >= len(words) - 1:
            return at
    return None


def _box_columns(
    layout: Layout, columns: list[list[str]], rows: Sequence[list[str]], image_at: int
) -> frozenset[int]:
    if layout.header:
        return frozenset(at for at, title in enumerate(layout.columns) if plain(title) in BOX_COLUMNS)
    numeric = [
        at
        for at, column in enumerate(columns)
        if at != image_at and any(column) and all(is_number(cell) for cell in column if cell)
    ]
    full = sum(len(row) == len(columns) for row in rows) >= 0.95 * len(rows)
    return frozenset(numeric) if len(numeric) >= 4 and full else frozenset()


def _without_header(layout: Layout, columns: list[list[str]], roles: Roles, rest: list[int]) -> Roles:
    names = share_of_images(columns[roles.image])
    labels = tuple(at for at in rest if any(columns[at]))
    notes: tuple[str, ...] = ()
    if roles.boxes:
        notes = (f"The {len(roles.boxes)} columns of numbers were taken for boxes and left out.",)
    roles = replace(roles, labels=labels, open_ended=not roles.boxes, notes=notes)
    if names > 0.8:
        return replace(roles, sure=0.7 if labels else 0.5 if roles.boxes else 0.2)
    ids = columns[roles.image]
    words = len(labels) == 1 and not any(is_number(cell) for cell in columns[labels[0]])
    plausible = words and all(_ID.fullmatch(cell) for cell in ids) and len(set(ids)) == len(ids)
    return replace(roles, sure=0.5 if plausible else 0.1)


def _with_header(layout: Layout, columns: list[list[str]], roles: Roles, rest: list[int]) -> Roles:
    titles = [plain(title) for title in layout.columns]
    names = share_of_images(columns[roles.image]) > 0.8
    if not names and titles[roles.image] not in IMAGE_COLUMNS:
        shown = ", ".join(layout.columns[:20])
        question = (
            f"No column of `{layout.file}` holds names of images. Choose one with image_column: {shown}."
        )
        return replace(roles, sure=0.1, question=question)
    known = [at for name in LABEL_COLUMNS for at in rest if titles[at] == name]
    numbered = [at for at in rest if _NUMBERED.fullmatch(titles[at].split("_(")[0])]
    same = [at for at in rest if known and titles[at].startswith(f"{titles[known[0]]}_(")]
    if known:
        notes = _rivals(layout.columns[known[0]], [layout.columns[at] for at in known[1:] if at not in same])
        return replace(roles, labels=(known[0], *same), sure=0.8 if names else 0.7, notes=notes)
    if numbered:
        return replace(roles, labels=tuple(numbered), sure=0.75)
    words = [
        at for at in rest if not all(is_number(cell) for cell in columns[at] if cell) and any(columns[at])
    ]
    left = words or rest
    if len(left) == 1:
        return replace(roles, labels=(left[0],), sure=0.65)
    if not left:
        return replace(roles, sure=0.5 if roles.boxes else 0.3)
    shown = ", ".join(f"`{layout.columns[at]}`" for at in left[:20])
    question = (
        f"Several columns of `{layout.file}` may hold the labels: {shown}. Choose one with label_column."
    )
    return replace(roles, sure=0.5, question=question)


def _rivals(taken: str, others: list[str]) -> tuple[str, ...]:
    if not others:
        return ()
    return (
        f"Labels are taken from `{taken}`; to use another column, such as `{others[0]}`, set label_column.",
    )
