"""Splits a cell that holds several labels. Not an importer itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fieldmark import PluginError

NAMED_SEPARATORS = {"space": " ", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_ITEM = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"\[\]][^,\[\]]*))\s*(?:,|$|(?=['"]))"""
)
_WORDS = re.compile(r"[^\W_][\w .()/+'-]*")
_LONGEST_LIST = 20_000


@dataclass(frozen=True, slots=True)
class CellSplitter:
    """Turns a cell into labels: whole, at a separator, or as a written list."""

    kind: Literal["whole", "separator", "list"] = "whole"
    separator: str = ""
    example: str = ""
    """The first cell that made the choice, for the note."""

    def split(self, cell: str) -> tuple[str, ...]:
        """Return the labels of a cell, stripped and each once."""
        if self.kind == "separator":
            parts: Iterable[str] = cell.split() if self.separator == " " else cell.split(self.separator)
        elif self.kind == "list" and (items := _listed(cell)) is not None:
            parts = items
        else:
            parts = (cell,)
        return tuple(dict.fromkeys(label for part in parts if (label := part.strip())))

    def note(self) -> str | None:
        """Return a sentence that says how cells are split, or None when they are not."""
        if self.kind == "whole":
            return None
        how = "as a list" if self.kind == "list" else f"at `{self.separator}`"
        shown = self.example if len(self.example) <= 60 else f"{self.example[:60]}…"
        return f"Cells such as `{shown}` are read {how}; set the option separator to none to keep them whole."


def chosen_splitter(option: str) -> CellSplitter:
    """Return the splitter for a separator that a person gave; raises `PluginError` for an impossible one."""
    if option in ("", "none"):
        return CellSplitter()
    if option == "list":
        return CellSplitter("list")
    separator = NAMED_SEPARATORS.get(option, option)
    if len(separator) > 8 or "\n" in separator:
        raise PluginError(f"The separator `{option[:40]}` is too long. Set it to | ; , space, list or none.")
    return CellSplitter("separator", " " if separator.isspace() and separator != "\t" else separator)


def detect_splitter(cells: Iterable[str], column: str) -> CellSplitter:
    """Choose a splitter from the different label cells of a file.

    A separator counts only when its parts look like labels: they turn up in other cells too, or are plain
    words. A blank counts only when every part is a label of its own elsewhere, or when a few words make up
    many different cells.
    """
    different = [cell for cell in dict.fromkeys(cells) if cell]
    lists = [cell for cell in different if _listed(cell) is not None]
    quoted = [cell for cell in lists if _is_json_list(cell) or cell[1:-1].strip()[:1] in "'\""]
    if lists and (len(lists) == len(different) or quoted):
        return CellSplitter("list", example=max(lists, key=len))
    for separator in "|;,":
        several = [cell for cell in different if len(_parts(cell, separator)) > 1]
        if several and _separates(separator, different, several):
            return CellSplitter("separator", separator, several[0])
    several = [cell for cell in different if len(cell.split()) > 1]
    if several and _blank_separates(different, several, column):
        return CellSplitter("separator", " ", several[0])
    return CellSplitter()


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _separates(separator: str, different: list[str], several: list[str]) -> bool:
    seen = Counter(part for cell in different for part in set(_parts(cell, separator)))
    reused = sum(any(seen[part] > 1 for part in _parts(cell, separator)) for cell in several)
    # "tench, Tinca tinca" is one label: a comma whose parts hardly ever come back belongs to the name.
    if separator == "," and len(several) >= 5:
        return reused >= 0.2 * len(several)
    words = all(_WORDS.fullmatch(part) for cell in several for part in _parts(cell, separator))
    return words or reused >= 0.5 * len(several)


def _blank_separates(different: list[str], several: list[str], column: str) -> bool:
    alone = {cell for cell in different if len(cell.split()) == 1}
    words = Counter(word for cell in several for word in set(cell.split()))
    if words.keys() <= alone:
        return True
    lengths = {len(cell.split()) for cell in several}
    if len(several) > 2 * len(words) and max(lengths) > 2:
        return True
    return column.strip().lower() == "tags" and max(lengths) > 2 and words.most_common(1)[0][1] > 1


def _is_json_list(cell: str) -> bool:
    try:
        return isinstance(json.loads(cell), list)
    except (ValueError, RecursionError):
        return False


def _listed(cell: str) -> list[str] | None:
    """Return the items of a JSON list, a Python or numpy repr, or MakeSense's `[a,b]`; None for other text."""
    if not (cell.startswith("[") and cell.endswith("]")) or len(cell) > _LONGEST_LIST:
        return None
    try:
        found = json.loads(cell, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return _items(cell[1:-1])
    if any(isinstance(item, list | dict) for item in found):
        return None
    return [json.dumps(item) if isinstance(item, bool) else item for item in found if item is not None]


def _items(inside: str) -> list[str] | None:
    items: list[str] = []
    at = 0
    while at < len(inside.rstrip()):
        item = _ITEM.match(inside, at)
        if not item:
            return None
        single, double, bare = item.groups()
        text = single if single is not None else double
        items.append(bare.strip() if text is None else re.sub(r"\\(.)", r"\1", text))
        at = item.end()
    return items
