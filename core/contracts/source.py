"""Read-only access to what a person handed over: one file, a folder or a zip, all seen alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
)


class Source(ABC):
    """Files by name, never unpacked.

    A name is a POSIX path inside the folder or zip, without the folder's own name and without one wrapper
    folder that all files share. Hidden files and the litter of operating systems (`__MACOSX/`, `._*`,
    `.DS_Store`, `Thumbs.db`) are left out.
    """

    label: str
    """What the person called it: the last part of the path, for messages."""
    root_name: str
    """The name of the folder that all files lie in: the folder's own, or the wrapper folder of a zip."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the name of every file, in sorted order for a folder and in stored order for a zip."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open one file for reading bytes; raises `PluginError` that names it when it can't be read."""

    def head(self, name: str, size: int = 65536) -> bytes:
        """Return at most the first `size` bytes of a file."""
        with self.open(name) as file:
            return file.read(size)
