"""Label tables: one row per image (or per label of an image) as spreadsheets, Kaggle and scripts write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import Field as OptionField

from fieldmark import Description, Example, Importer, PluginError, Skipped, Source, State, hookimpl
from fieldmark.plugins.importers.delimited import Header, is_number, read_layout, tables
from fieldmark.plugins.importers.delimited_rows import Layout, Row, read_rows
from fieldmark.plugins.importers.label_cells import CellSplitter, chosen_splitter, detect_splitter
from fieldmark.plugins.importers.label_columns import Roles, find_roles, limit_of_other_tools, split_reader
from fieldmark.plugins.importers.table_description import Role, Tally
from fieldmark.plugins.importers.table_options import TableOptions
from fieldmark.plugins.importers.table_parts import Part, choose_parts

_SAMPLE = 500
_DIFFERENT_CELLS = 20_000


class CsvOptions(TableOptions):
    """How a label table is read; what is left empty is found out."""

    label_column: str | None = OptionField(
        default=None,
        description="The column with the labels, or several with commas between",
        json_schema_extra={"choices_from": "column"},
    )
    separator: str | None = OptionField(
        default=None,
        description="What stands between the labels in one cell: | ; , space, list, or none to keep cells whole",
    )
    header: Header = OptionField(default="auto", description="Whether the first row names the columns")
    negative_labels: list[str] = OptionField(
        default=["No Finding", "No_Finding"], description="Labels that say that no label applies"
    )
    negatives: Literal["label", "none-of-these", "unlabelled"] = OptionField(
        default="label",
        description="What becomes of an image with a negative label: keep it as a label, or a state",
    )


@dataclass(frozen=True, slots=True)
class _Table:
    part: Part
    layout: Layout
    roles: Roles
    splitter: CellSplitter
    alone: bool


class CsvLabels(Importer[CsvOptions]):
    """Reads delimited text with a column of image names and one or more columns of labels."""

    name = "csv"
    summary = "A table with one row per image and its labels in a column"

    @classmethod
    def recognises(cls, source: Source) -> float:
        options = CsvOptions()
        return max((_sure(source, file, options) for file in tables(source)), default=0.0)

    def describe(self, source: Source) -> Description:
        found, notes = self._tables(source)
        tally = Tally(found[0].layout.columns)
        unknown: Counter[str] = Counter()
        for table in found:
            at = table.roles.split
            read = split_reader(table.layout.columns[at]) if at is not None else None
            for row, example in self._examples(source, table):
                tally.add_cells(row.cells)
                if isinstance(example, Skipped):
                    tally.bad_rows += 1
                    continue
                tally.add(example)
                word = row.cells[at] if at is not None and len(row.cells) > at else ""
                if read and word and not read(word) and len(unknown) < 100:
                    unknown[word] += 1
        if unknown:
            shown = ", ".join(f"`{word}`" for word, _ in unknown.most_common(5))
            notes.append(f"The split column also holds {shown}, which name no split and were left out.")
        negative = sorted(tally.labels.keys() & set(self.options.negative_labels))
        if negative and self.options.negatives == "label":
            notes.append(
                f"`{negative[0]}` is kept as a label; the option negatives can turn it into a state."
            )
        return tally.describe(_roles(found[0].roles), notes)

    def read(self, source: Source) -> Iterator[Example | Skipped]:
        found, _ = self._tables(source)
        for table in found:
            if table.roles.question:
                raise PluginError(table.roles.question)
        for table in found:
            for _, example in self._examples(source, table):
                yield example

    def _tables(self, source: Source) -> tuple[list[_Table], list[str]]:
        chosen, remarks = choose_parts(
            source, self.options.file, lambda file: _sure(source, file, self.options)
        )
        notes = list(remarks)
        read: list[tuple[Part, Layout, Roles]] = []
        for part in chosen:
            layout = _layout(source, part.file, self.options)
            roles = _find(source, layout, self.options)
            notes += [*layout.notes, *roles.notes, *([roles.question] if roles.question else [])]
            read.append((part, layout, roles))
        if self.options.separator is not None:
            splitter = chosen_splitter(self.options.separator)
        else:
            cells: dict[str, None] = {}
            for _, layout, roles in read:
                _collect(source, layout, roles, cells)
            titled = next((layout.columns[at] for _, layout, roles in read for at in roles.labels), "")
            splitter = detect_splitter(cells, titled)
            notes += [note for note in [splitter.note()] if note]
        alone = len(read) == 1
        return [_Table(*one, splitter, alone) for one in read], list(dict.fromkeys(notes))

    def _examples(self, source: Source, table: _Table) -> Iterator[tuple[Row, Example | Skipped]]:
        roles = table.roles
        read_split = split_reader(table.layout.columns[roles.split]) if roles.split is not None else None
        for row in read_rows(source, table.layout):
            location = f"row {row.number}" if table.alone else f"{table.part.file}, row {row.number}"
            if reason := _unusable(row, table):
                yield row, Skipped(location, reason)
                continue
            labels, state = self._labels(row.cells, table)
            split = table.part.split
            if read_split and roles.split is not None and roles.split < len(row.cells):
                split = read_split(row.cells[roles.split]) or split
            image = table.part.reference(row.cells[roles.image])
            yield row, Example(image, labels, state, split, location=location)

    def _labels(self, cells: list[str], table: _Table) -> tuple[tuple[str, ...], State | None]:
        found = [
            label for at in _label_positions(cells, table.roles) for label in table.splitter.split(cells[at])
        ]
        labels = tuple(dict.fromkeys(found))
        negatives = self.options.negatives
        if negatives == "label" or not set(labels) & set(self.options.negative_labels):
            return labels, None
        left = tuple(label for label in labels if label not in self.options.negative_labels)
        return left, None if left else negatives


@hookimpl
def register_importers() -> list[type[Importer[Any]]]:
    """Offer the importer to the application."""
    return [CsvLabels]


def _layout(source: Source, file: str, options: CsvOptions, glance: bool = False) -> Layout:
    return read_layout(
        source,
        file,
        delimiter=options.delimiter,
        encoding=options.encoding,
        header=options.header,
        glance=glance,
    )


def _sample(source: Source, layout: Layout) -> list[list[str]]:
    with closing(read_rows(source, layout)) as rows:
        return [row.cells for row in islice(rows, _SAMPLE) if not row.problem]


def _find(source: Source, layout: Layout, options: CsvOptions) -> Roles:
    rows = _sample(source, layout)
    return find_roles(layout, rows, options.image_column, options.label_column, options.split_column)


def _sure(source: Source, file: str, options: CsvOptions) -> float:
    try:
        layout = _layout(source, file, options, glance=True)
        rows = _sample(source, layout)
        sure = find_roles(layout, rows, options.image_column, options.label_column, options.split_column).sure
    except PluginError:
        return 0.0
    if not rows:
        return min(sure, 0.2)
    return min(sure, limit_of_other_tools(layout) if layout.header else _limit_without_header(layout, rows))


def _limit_without_header(layout: Layout, rows: list[list[str]]) -> float:
    """Lists of other tools: Vertex (`gs://`), MakeSense (`name,"[a,b]"`), name and index, YOLO, VOC."""
    if any(cell.startswith("gs://") for row in rows[:20] for cell in row[:2]):
        return 0.4
    if all(row and row[-1].startswith("[") and row[-1].endswith("]") for row in rows):
        return 0.4
    if layout.delimiter == " " and all(is_number(row[-1]) for row in rows if row):
        return 0.3
    return 1.0


def _collect(source: Source, layout: Layout, roles: Roles, cells: dict[str, None]) -> None:
    for row in read_rows(source, layout):
        for at in _label_positions(row.cells, roles):
            if len(cells) < _DIFFERENT_CELLS:
                cells[row.cells[at]] = None


def _label_positions(cells: list[str], roles: Roles) -> list[int]:
    if roles.open_ended:
        return [at for at in range(len(cells)) if at not in (roles.image, roles.split)]
    return [at for at in roles.labels if at < len(cells)]


def _unusable(row: Row, table: _Table) -> str | None:
    if row.problem:
        return f"The row can't be read: {row.problem}."
    columns = len(table.layout.columns)
    if table.layout.header and any(row.cells[columns:]):
        return f"The row has {len(row.cells)} cells and the header {columns}; quote cells that hold the delimiter."
    if len(row.cells) <= table.roles.image or not row.cells[table.roles.image]:
        return "The row names no image."
    return None


def _roles(roles: Roles) -> dict[int, Role]:
    found: dict[int, Role] = {at: "label" for at in roles.labels}
    if roles.split is not None:
        found[roles.split] = "split"
    return {**found, roles.image: "image"}
