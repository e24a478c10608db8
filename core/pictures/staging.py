"""Files on their way in: copied where the sandboxed decoder may look at them, hashed, or listed with a reason."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fieldmark.core.contracts.source import IMAGE_SUFFIXES
from fieldmark.core.sources.opening import FileSource
from fieldmark.core.sources.rules import OpenSource
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import copy_hashed
from fieldmark.storage.images import name_problem

LARGEST_FILE = 200 * 2**20
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file with what is to be said about it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Staged:
    """A file copied for checking; `sha256` in hex, `size` in bytes."""

    name: str
    sha256: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class NotAnImage(Listed):
    """A file of a folder or zip that is no image and doesn't claim to be one."""


def stage(source: OpenSource, folder: Path) -> Iterator[Staged | Listed]:
    """Copy the images of a source into `folder`, yielding each, or why it was refused or skipped."""
    for number, name in enumerate(source.names()):
        problem = name_problem(name)
        if problem:
            yield Listed(ascii(name[:80]), problem)
            continue
        target = folder / f"{number}.staged"
        try:
            claims = isinstance(source, FileSource) or Path(name).suffix.lower() in IMAGE_SUFFIXES
            if not claims and not _looks_like_image(source.head(name, 16)):
                yield NotAnImage(name, "is not an image")
                continue
            with source.open(name) as file:
                sha256, size = copy_hashed(file, target, LARGEST_FILE)
        except (FieldmarkError, OSError) as error:
            target.unlink(missing_ok=True)
            yield Listed(name, disk_reason(error))
        else:
            yield Staged(name, sha256, size, target)
    for refused in source.refused:
        yield Listed(refused.location, refused.reason)


def disk_reason(error: FieldmarkError | OSError) -> str:
    """Return a sentence for a file that could not be read or written."""
    if isinstance(error, FieldmarkError):
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space and try again"
    return f"can't be read or stored: {error.strerror or error}"


def _looks_like_image(head: bytes) -> bool:
    return head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
