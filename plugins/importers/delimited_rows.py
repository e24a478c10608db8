"""Reads the rows of delimited text one by one; a bad row is given up alone. Not an importer itself."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fieldmark import IMAGE_SUFFIXES, PluginError, Source

MAX_COLUMNS = 4_096
_MAX_LINE = 1_000_000
_MAX_LINES_IN_A_ROW = 1_000
# Holds a NUL so that it is refused like one.
_TOO_LONG = "\0too long"
_NAME_THEN_REST = re.compile(
    r"(\S.*?\.(?:" + "|".join(sorted(s[1:] for s in IMAGE_SUFFIXES)) + r"))(?:\s+(\S.*))?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How one file is to be read."""

    file: str
    encoding: str
    delimiter: str
    """One character; a space stands for runs of blanks."""
    columns: tuple[str, ...]
    """Names from the header, or `column 1` and so on; unique."""
    header: bool
    before: int = 0
    """Rows before the first row of data."""
    notes: tuple[str, ...] = ()


class Row(NamedTuple):
    """One row; `number` counts from 1 as a spreadsheet does, header and blank rows included."""

    number: int
    cells: list[str]
    problem: str = ""


def read_rows(source: Source, layout: Layout) -> Generator[Row, None, None]:
    """Yield the rows of data as they come, cells stripped; a row that can't be read has a `problem`.

    Raises `PluginError` when the bytes are not in the layout's encoding.
    """
    number = skipped = 0
    with io.TextIOWrapper(source.open(layout.file), encoding=layout.encoding, newline="") as text:
        try:
            for cells, problem in _records(text, layout.delimiter):
                number += 1
                if skipped < layout.before:
                    skipped += bool(cells)
                elif cells or problem:
                    yield Row(number, [cell.strip() for cell in cells], problem)
        except UnicodeError:
            raise PluginError(
                f"`{layout.file}` can't be read as {layout.encoding} after row {number}. "
                "Set the option encoding to the one it was saved in."
            ) from None


def split_blanks(line: str) -> list[str]:
    named = _NAME_THEN_REST.match(line.strip())
    return [named[1], *(named[2] or "").split()] if named else line.split()


class _Lines:
    """Feeds the csv reader and remembers what the current row has taken, so that it can be given back."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.pending: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.pending.popleft() if self.pending else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        if "\0" in line or len(self.taken) > _MAX_LINES_IN_A_ROW:
            first = len(self.taken) == 1
            raise csv.Error("too long" if line == _TOO_LONG else "NUL" if first else "unexpected end of data")
        return line

    def _read(self) -> str:
        line = self._text.readline(_MAX_LINE)
        if len(line) < _MAX_LINE or line.endswith(("\n", "\r")):
            return line
        while len(rest := self._text.readline(_MAX_LINE)) == _MAX_LINE and not rest.endswith("\n"):
            pass
        return _TOO_LONG


def _records(text: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Yield cells and what is wrong with them.

    A quote that never closes would swallow the rest of the file: only the row it stands in is given up, the
    lines after it are read again.
    """
    lines = _Lines(text)
    while True:
        rows: Iterator[list[str]] = (
            map(split_blanks, lines)
            if delimiter == " "
            else csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        )
        try:
            for cells in rows:
                wide = len(cells) > MAX_COLUMNS
                yield ([], f"it has more than {MAX_COLUMNS} cells") if wide else (cells, "")
                lines.taken.clear()
            return
        except csv.Error as error:
            yield [], _reason(str(error))
            lines.pending.extendleft(reversed(lines.taken[1:]))
            lines.taken.clear()


def _reason(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quotation mark opens a cell and nothing closes it"
    if "expected after" in error:
        return "text follows a closing quotation mark; double the quotation marks inside a cell"
    if error == "NUL":
        return "it holds a NUL character"
    return "it is too long" if error == "too long" or "field limit" in error else error
