"""Finds out how delimited text is to be read: encoding, delimiter, header, columns. Not an importer itself."""

from __future__ import annotations

import codecs
import csv
import heapq
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal

from fieldmark import IMAGE_SUFFIXES, PluginError, Source, Split
from fieldmark.plugins.importers.delimited_rows import MAX_COLUMNS, Layout, split_blanks

Header = Literal["auto", "yes", "no"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


IMAGE_COLUMNS = _words(
    "image image_name image_id filename file_name file fname id id_code img path filepath imageid url "
    "image_path file_path image_file image_filename img_name img_path image_index image_url uri photo"
)
LABEL_COLUMNS = _words(
    "label labels label_name class class_name category tag tags target diagnosis species breed finding_labels "
    "classes categories label_names class_names"
)
SPLIT_COLUMNS = _words("split set subset fold is_valid data_split partition ml_use")
BOX_COLUMNS = _words(
    "x y w h x1 y1 x2 y2 xmin ymin xmax ymax x_min y_min x_max y_max width height bbox box bounding_box "
    "bbox_x bbox_y bbox_width bbox_height xcenter ycenter x_center y_center cx cy area"
)
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt"})
_MAX_TABLES = 50
_HEAD = 65_536
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_IN_CP1252 = re.compile(b"[\x81\x8d\x8f\x90\x9d]")


def tables(source: Source) -> list[str]:
    """Return the files of a source that may be tables, nearest to the root first, at most fifty."""
    names = source.names()
    first = list(islice(names, 2))
    if len(first) == 1:
        return [] if is_image_name(first[0]) else first
    rest = (name for part in (first, names) for name in part if _suffix(name) in _TABLE_SUFFIXES)
    return heapq.nsmallest(
        _MAX_TABLES, rest, key=lambda name: (name.count("/"), _suffix(name) == ".txt", name.lower(), name)
    )


def read_layout(
    source: Source,
    file: str,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: Header = "auto",
    glance: bool = False,
) -> Layout:
    """Find out how to read a file; raises `PluginError` when it is no text or an option doesn't fit.

    `glance` looks at the beginning only; otherwise the encoding is checked to the end.
    """
    notes: list[str] = []
    encoding = _checked(encoding) if encoding else _detect_encoding(source, file, glance, notes)
    lines = _first_lines(source, file, encoding)
    if not lines:
        raise PluginError(f"`{file}` is empty. Choose a file with one row per image.")
    separator = _character(delimiter) if delimiter else _detect_delimiter(lines)
    rows = [row for row in islice(_split(lines, separator), 201) if row]
    before = 0
    # CelebA: the number of rows, then the names of the attributes without one for the image.
    if separator == " " and len(rows) > 2 and len(rows[0]) == 1 and rows[0][0].isdigit():
        before, rows = 1, rows[1:]
        lines = lines[1:]
    widest = max((len(row) for row in rows), default=0)
    if widest > MAX_COLUMNS:
        raise PluginError(f"`{file}` has {widest} columns; {MAX_COLUMNS} are allowed. Leave some out.")
    if before and len(rows[0]) == len(rows[1]) - 1:
        rows[0].insert(0, "image")
    titled = header == "yes" or (header == "auto" and (before == 1 or _has_header(rows)))
    if header == "auto" and not titled:
        notes.append(f"`{file}` has no header; if its first row is one, set the option header to yes.")
    titles = rows[0] if titled else []
    return Layout(
        file=file,
        encoding=encoding,
        delimiter=separator,
        columns=_unique(titles + [""] * (0 if titled else widest)),
        header=titled,
        before=before + int(titled),
        notes=tuple(notes),
    )


def plain(title: str) -> str:
    """Return a column's name as the lists of known names spell it."""
    return re.sub(r"[\s-]+", "_", title.strip().lstrip("#").lower())


def is_image_name(cell: str) -> bool:
    """Return whether a cell ends like the name or address of an image file."""
    if cell.startswith(("http://", "https://", "gs://", "s3://")):
        return True
    return _suffix(cell) in IMAGE_SUFFIXES


def share_of_images(cells: Sequence[str]) -> float:
    """Return which part of the non-empty cells are names of images, 0 to 1."""
    filled = [cell for cell in cells if cell]
    return sum(map(is_image_name, filled)) / len(filled) if filled else 0.0


def split_named(word: str) -> Split | None:
    """Return the split that a word names, in any case, or None."""
    return _SPLITS.get(word.strip().lower())


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _checked(encoding: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        name = codecs.lookup(encoding).name
        return "utf-8-sig" if name == "utf-8" else name
    except (LookupError, ValueError):
        raise PluginError(
            f"There is no encoding `{encoding}`. Try utf-8, utf-16, cp1252 or gb18030."
        ) from None


def _character(delimiter: str) -> str:
    character = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(
        delimiter, delimiter
    )
    if len(character) != 1 or character in '"\r\n\0':
        raise PluginError(f"The delimiter `{delimiter}` is not one character. Set it to , ; tab or space.")
    return character


def _detect_encoding(source: Source, file: str, glance: bool, notes: list[str]) -> str:
    head = source.head(file, _HEAD)
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    # A few zero bytes are damage in some rows, many are another kind of file.
    if head.startswith(_SPREADSHEETS) or head.count(0) > len(head) * 0.05:
        return _without_mark(head, file)
    valid, latin = True, True
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open(file) as stream:
        for chunk in [head] if glance else iter(lambda: stream.read(1 << 20), b""):
            if valid:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    valid = False
            latin = latin and not _NOT_IN_CP1252.search(chunk)
            if not valid and not latin:
                raise PluginError(
                    f"`{file}` is neither UTF-8 nor Windows-1252 text. Set the option encoding to the one it "
                    "was saved in, such as gb18030 or shift_jis."
                )
    if valid and not decoder.getstate()[0]:
        return "utf-8"
    if glance and valid:
        return "utf-8"
    notes.append(
        f"`{file}` is not UTF-8, so it was read as Windows-1252; if letters look wrong, set the option encoding."
    )
    return "cp1252"


def _without_mark(head: bytes, file: str) -> str:
    """Tell UTF-16 without a byte order mark from no text at all: every other byte of it is mostly zero."""
    even, odd = head[0::2], head[1::2]
    if not head.startswith(_SPREADSHEETS) and max(even.count(0) / len(even), odd.count(0) / len(even)) > 0.4:
        return "utf-16-be" if even.count(0) > odd.count(0) else "utf-16-le"
    hint = "Save the sheet as CSV" if head.startswith(_SPREADSHEETS) else "Choose a CSV or text file"
    raise PluginError(f"`{file}` is not a text file. {hint}.")


def _first_lines(source: Source, file: str, encoding: str) -> list[str]:
    head = source.head(file, _HEAD)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        raise PluginError(
            f"`{file}` can't be read as {encoding}. Set the option encoding to the one it was saved in."
        ) from None
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="").readlines()
    # The last line of a long file was cut somewhere.
    return [line for line in (lines[:-1] if len(head) == _HEAD and len(lines) > 1 else lines) if line.strip()]


def _detect_delimiter(lines: list[str]) -> str:
    best, best_score = ",", 0.0
    for delimiter in (",", "\t", ";", "|", " "):
        rows = [row for row in islice(_split(lines, delimiter), 200) if row]
        widths = Counter(map(len, rows))
        if not rows or sum(count for width, count in widths.items() if width > 1) * 2 < len(rows):
            continue
        named = sum(any(map(is_image_name, row)) for row in rows) / len(rows)
        known = any(plain(cell) in IMAGE_COLUMNS for cell in rows[0])
        # Blanks are inside names and labels too, so they must not win by consistency alone.
        score = max(named, float(known)) * 2 + widths.most_common(1)[0][1] / len(rows) - (delimiter == " ")
        if score > best_score:
            best, best_score = delimiter, score
    if best == "," and best_score == 0 and all(len(line.split()) > 1 for line in lines[1:]):
        return "," if len(lines) == 1 and not lines[0].split()[1:] else " "
    return best


def _has_header(rows: list[list[str]]) -> bool:
    first, rest = rows[0], rows[1:]
    if any(is_image_name(cell) for cell in first):
        return False
    if {plain(cell) for cell in first} & {*IMAGE_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS}:
        return True
    columns = [[row[at] for row in rest if len(row) > at] for at in range(len(first))]
    if any(share_of_images(column) > 0.8 for column in columns):
        return True
    return any(
        column and not is_number(title) and all(is_number(cell) for cell in column)
        for title, column in zip(first, columns, strict=True)
    )


def is_number(cell: str) -> bool:
    """Return whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _unique(titles: list[str]) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for at, title in enumerate(titles, start=1):
        name = base = title.strip() or f"column {at}"
        count = 1
        while name in seen:
            count += 1
            name = f"{base} ({count})"
        seen[name] = None
    return tuple(seen)


def _split(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        yield from map(split_blanks, lines)
        return
    try:
        for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            yield [cell.strip() for cell in row]
    except csv.Error:
        return
