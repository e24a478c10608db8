"""One-hot tables: a column for each label, 1 where an image has it (Roboflow `_classes.csv`, ISIC, CelebA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field as OptionField

from fieldmark import (
    Description,
    Example,
    Importer,
    PluginError,
    Skipped,
    Source,
    Split,
    State,
    hookimpl,
)
from fieldmark.plugins.importers.delimited import (
    BOX_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    plain,
    read_layout,
    share_of_images,
    tables,
)
from fieldmark.plugins.importers.delimited_rows import Layout, Row, read_rows
from fieldmark.plugins.importers.label_columns import (
    image_column,
    limit_of_other_tools,
    position,
    split_column,
    split_reader,
)
from fieldmark.plugins.importers.table_description import Role, Tally
from fieldmark.plugins.importers.table_options import TableOptions
from fieldmark.plugins.importers.table_parts import Part, choose_parts

_SAMPLE = 500
_WORDS = {"true": 1.0, "false": 0.0}
_NEVER_LABELS = frozenset({*BOX_COLUMNS, "confidence", "score", "probability", "index"})
_CELEBA_SPLITS: dict[str, Split] = {"0": "train", "1": "validation", "2": "test"}


class OneHotOptions(TableOptions):
    """How a one-hot table is read; what is left empty is found out."""

    not_labels: list[str] = OptionField(default=[], description="Columns of 0 and 1 that are no labels")
    all_zeros: Literal["none-of-these", "unlabelled"] = OptionField(
        default="none-of-these", description="What an image is whose row holds only 0"
    )
    minus_one: Literal["auto", "uncertain", "absent", "present"] = OptionField(
        default="auto",
        description="What -1 means; auto takes it for absent where the file holds no 0, else for uncertain",
    )
    threshold: float | None = OptionField(
        default=None,
        gt=0,
        le=1,
        description="The lowest probability that counts as a label, where there are any",
    )


@dataclass(slots=True)
class _Values:
    """What one column holds."""

    flags: int = 0
    zeros: int = 0
    minus: int = 0
    fractions: int = 0
    others: int = 0

    @property
    def is_label(self) -> bool:
        """Now and then a cell is wrong; its row is listed and the column stays a label."""
        good = self.flags + self.fractions
        return good > 0 and self.others <= 0.05 * (good + self.others)


@dataclass(frozen=True, slots=True)
class _Table:
    part: Part
    layout: Layout
    image: int
    split: int | None
    labels: dict[int, str]
    left_out: tuple[str, ...]
    values: list[_Values]
    alone: bool = True
    minus: float | None = None
    """What -1 counts as: 1, 0, or None for uncertain."""


class CsvOneHot(Importer[OneHotOptions]):
    """Reads tables whose columns are labels and whose cells say 1, 0 or -1."""

    name = "csv-onehot"
    summary = "A table with a column of 0 and 1 for each label"

    @classmethod
    def recognises(cls, source: Source) -> float:
        options = OneHotOptions()
        return max((_sure(source, file, options) for file in tables(source)), default=0.0)

    def describe(self, source: Source) -> Description:
        found, notes = self._tables(source)
        tally = Tally(found[0].layout.columns)
        undecided = self._undecided(found)
        for table in found:
            for row, example in self._examples(source, table, {}):
                tally.add_cells(row.cells)
                if isinstance(example, Skipped):
                    tally.bad_rows += 1
                else:
                    tally.add(replace(example, labels=()) if undecided else example)
        unused = [label for label in found[0].labels.values() if label not in tally.labels]
        if undecided:
            notes.append(undecided)
        elif unused:
            notes.append(f"No image has the labels {_listed(unused)}.")
        roles: dict[int, Role] = {at: "label" for at in found[0].labels}
        if (split := found[0].split) is not None:
            roles[split] = "split"
        roles[found[0].image] = "image"
        return tally.describe(roles, notes)

    def read(self, source: Source) -> Iterator[Example | Skipped]:
        found, _ = self._tables(source)
        if undecided := self._undecided(found):
            raise PluginError(undecided)
        splits = _celeba_splits(source, found[0].part.file)
        for table in found:
            for _, example in self._examples(source, table, splits):
                yield example

    def _tables(self, source: Source) -> tuple[list[_Table], list[str]]:
        parts, remarks = choose_parts(
            source, self.options.file, lambda file: _sure(source, file, self.options)
        )
        notes = list(remarks)
        found = [_survey(source, part, self.options) for part in parts]
        values = [table.values[at] for table in found for at in table.labels]
        minus = _meaning_of_minus(self.options, values)
        for table in found:
            notes += table.layout.notes
            if table.left_out:
                notes.append(f"The columns {_listed(table.left_out)} hold no 0 and 1 and were left out.")
        if any(value.minus for value in values):
            meaning = {1.0: "present", 0.0: "absent", None: "uncertain and adds no label"}[minus]
            notes.append(f"A -1 is read as {meaning}; the option minus_one changes that.")
        alone = len(found) == 1
        return [replace(table, alone=alone, minus=minus) for table in found], list(dict.fromkeys(notes))

    def _undecided(self, found: list[_Table]) -> str | None:
        fractions = any(table.values[at].fractions for table in found for at in table.labels)
        if not fractions or self.options.threshold is not None:
            return None
        return (
            f"`{found[0].part.file}` holds probabilities between 0 and 1. Set the option threshold, such as 0.5, "
            "to say from where on a label counts."
        )

    def _examples(
        self, source: Source, table: _Table, splits: dict[str, Split]
    ) -> Iterator[tuple[Row, Example | Skipped]]:
        title = table.layout.columns[table.split] if table.split is not None else ""
        read_split = split_reader(title)
        for row in read_rows(source, table.layout):
            location = f"row {row.number}" if table.alone else f"{table.part.file}, row {row.number}"
            if reason := _unusable(row, table):
                yield row, Skipped(location, reason)
                continue
            labels, state, confidences = self._labels(row.cells, table)
            name = row.cells[table.image]
            split = splits.get(name) or table.part.split
            if table.split is not None:
                split = read_split(row.cells[table.split]) or split
            image = table.part.reference(name)
            yield row, Example(image, labels, state, split, confidences=confidences, location=location)

    def _labels(
        self, cells: list[str], table: _Table
    ) -> tuple[tuple[str, ...], State | None, dict[str, float]]:
        least = self.options.threshold if self.options.threshold is not None else 1.0
        labels: list[str] = []
        confidences: dict[str, float] = {}
        every_one_absent = True
        for at, label in table.labels.items():
            value = _value(cells[at]) if cells[at] else None
            if value == -1:
                value = table.minus
            if value is None:
                every_one_absent = False
            elif value >= least:
                labels.append(label)
                if self.options.threshold is not None:
                    confidences[label] = value
        if labels:
            return tuple(labels), None, confidences
        return (), self.options.all_zeros if every_one_absent else "unlabelled", {}


@hookimpl
def register_importers() -> list[type[Importer[Any]]]:
    """Offer the importer to the application."""
    return [CsvOneHot]


@lru_cache(maxsize=4096)
def _value(cell: str) -> float | None:
    """Return -1 or a number from 0 to 1; None for anything else."""
    word = _WORDS.get(cell.lower())
    if word is not None:
        return word
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        return None
    return value if value == -1 or 0 <= value <= 1 else None


def _measure(columns: int, rows: Iterator[list[str]]) -> list[_Values]:
    values = [_Values() for _ in range(columns)]
    for row in rows:
        for column, cell in zip(values, row, strict=False):
            if not cell:
                continue
            value = _value(cell)
            if value is None:
                column.others += 1
            elif value in (0, 1, -1):
                column.flags += 1
                column.zeros += value == 0
                column.minus += value == -1
            else:
                column.fractions += 1
    return values


def _layout(source: Source, file: str, options: OneHotOptions, glance: bool = False) -> Layout:
    return read_layout(source, file, delimiter=options.delimiter, encoding=options.encoding, glance=glance)


def _table(
    source: Source, part: Part, layout: Layout, options: OneHotOptions, sample: list[list[str]]
) -> _Table:
    columns = [[row[at] for row in sample if len(row) > at] for at in range(len(layout.columns))]
    image = position(layout, options.image_column) if options.image_column else image_column(layout, columns)
    if options.split_column:
        split: int | None = position(layout, options.split_column)
    else:
        split = split_column(layout, columns, image)
    return _Table(part, layout, image, split, {}, (), [])


def _with_labels(table: _Table, values: list[_Values], options: OneHotOptions) -> _Table:
    not_labels = {position(table.layout, name) for name in options.not_labels}
    labels: dict[int, str] = {}
    left_out: list[str] = []
    for at, title in enumerate(table.layout.columns):
        if at in (table.image, table.split) or at in not_labels:
            continue
        measured = values[at]
        numbers = plain(title) in _NEVER_LABELS and bool(measured.fractions or measured.others)
        if measured.is_label and not numbers:
            labels[at] = title
        elif measured.others or numbers:
            left_out.append(title)
    return replace(table, labels=labels, left_out=tuple(left_out), values=values)


def _survey(source: Source, part: Part, options: OneHotOptions) -> _Table:
    """Look through a whole table; raises `PluginError` when it has no image column or no labels."""
    layout = _layout(source, part.file, options)
    if _is_mask_palette(layout):
        raise PluginError(
            f"`{part.file}` lists the pixel values of a segmentation export, not the labels of images. Export the "
            "set from Roboflow again as Multi-Label Classification."
        )
    table = _table(source, part, layout, options, _sample(source, layout))
    usable = (row.cells for row in read_rows(source, layout) if not row.problem)
    table = _with_labels(table, _measure(len(layout.columns), usable), options)
    if not table.labels:
        raise PluginError(
            f"`{part.file}` has no column that holds 0 and 1. If its labels stand in one column, use the importer csv."
        )
    return table


def _sample(source: Source, layout: Layout) -> list[list[str]]:
    with closing(read_rows(source, layout)) as rows:
        return [row.cells for row in islice(rows, _SAMPLE) if not row.problem]


def _is_mask_palette(layout: Layout) -> bool:
    return layout.header and [plain(title) for title in layout.columns] == ["pixel_value", "class"]


def _sure(source: Source, file: str, options: OneHotOptions) -> float:
    try:
        layout = _layout(source, file, options, glance=True)
        if _is_mask_palette(layout):
            return 0.9
        rows = _sample(source, layout)
        table = _table(source, Part(file), layout, options, rows)
        table = _with_labels(table, _measure(len(layout.columns), iter(rows)), options)
    except PluginError:
        return 0.0
    names = share_of_images([row[table.image] for row in rows if len(row) > table.image]) > 0.8
    titles = [plain(title) for title in layout.columns]
    if not layout.header or not rows or not table.labels:
        return 0.0
    if not names and titles[table.image] not in IMAGE_COLUMNS:
        return 0.0
    written = [at for at, title in enumerate(titles) if title in LABEL_COLUMNS and at not in table.labels]
    if written and any(table.layout.columns[at] in table.left_out for at in written):
        return 0.2
    if len(table.labels) == 1:
        return 0.2 if titles[next(iter(table.labels))] in LABEL_COLUMNS else 0.4
    return min(0.85 if table.left_out else 0.95, limit_of_other_tools(layout))


def _meaning_of_minus(options: OneHotOptions, values: list[_Values]) -> float | None:
    if options.minus_one == "auto":
        return 0.0 if not any(value.zeros for value in values) else None
    return {"uncertain": None, "absent": 0.0, "present": 1.0}[options.minus_one]


def _unusable(row: Row, table: _Table) -> str | None:
    if row.problem:
        return f"The row can't be read: {row.problem}."
    columns = len(table.layout.columns)
    if len(row.cells) < columns or any(row.cells[columns:]):
        return f"The row has {len(row.cells)} cells and the header {columns}."
    if not row.cells[table.image]:
        return "The row names no image."
    for at, label in table.labels.items():
        if row.cells[at] and _value(row.cells[at]) is None:
            return f"The column `{label}` holds `{row.cells[at][:40]}`; only 1, 0 and -1 are read."
    return None


def _celeba_splits(source: Source, file: str) -> dict[str, Split]:
    """Return the splits of CelebA, which stand in a file of their own: 0 train, 1 validation, 2 test."""
    if not PurePosixPath(file).stem.startswith("list_attr"):
        return {}
    splits: dict[str, Split] = {}
    for name in tables(source):
        if PurePosixPath(name).stem == "list_eval_partition":
            for row in read_rows(source, read_layout(source, name)):
                if len(row.cells) == 2 and row.cells[1] in _CELEBA_SPLITS:
                    splits[row.cells[0]] = _CELEBA_SPLITS[row.cells[1]]
    return splits


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
