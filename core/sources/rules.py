"""What every opened source shares: which names are usable, what is left out, how refusals are kept."""

from __future__ import annotations

import re
from abc import abstractmethod
from types import TracebackType
from typing import BinaryIO, Self

from fieldmark.core.contracts.importer import Skipped
from fieldmark.core.contracts.source import Source

MAX_NAME_BYTES = 1024
MAX_DEPTH = 20
_LITTER = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"}
    | {"system volume information", "lost+found"}
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class OpenSource(Source):
    """A `Source` that is closed after use and knows what it had to refuse."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.root_name = ""
        self._refused: dict[str, Skipped] = {}

    @property
    def refused(self) -> list[Skipped]:
        """Entries that can't be used, each with a reason; a folder's are complete after one walk of `names`."""
        return list(self._refused.values())

    def close(self) -> None:
        """Let go of open files; closing twice does no harm."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open one file; raises `PluginError` that names it, at once or while it is being read."""

    def _refuse(self, name: str, reason: str) -> None:
        shown = printable(name)
        if len(shown) > 300:
            shown = f"{shown[:120]}…{shown[-120:]}"
        self._refused.setdefault(f"{name}\0{reason}", Skipped(shown, reason))


def unusable(name: str) -> str | None:
    """Return why a POSIX path can't be an image's name, as a sentence about it, or None."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "Its name holds bytes that are not text; rename it."
    if _CONTROL.search(name):
        return "Its name holds a control character, such as a line break; rename it."
    if size > MAX_NAME_BYTES:
        return f"Its name is {size} bytes long and {MAX_NAME_BYTES} are allowed; shorten it."
    if name.count("/") > MAX_DEPTH:
        return f"It lies more than {MAX_DEPTH} folders deep; move it further up."
    return None


def is_litter(part: str) -> bool:
    """Return whether a file or folder name is hidden or left behind by an operating system."""
    return part.startswith(".") or part.lower() in _LITTER


def printable(name: str) -> str:
    """Return a name as text that can be stored, and shown on one line."""
    return _CONTROL.sub("\ufffd", name.encode("utf-8", "replace").decode())


def cause(error: OSError | ValueError) -> str:
    """Return the operating system's words for what went wrong, without its path."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)[0].lower() + str(text)[1:]
