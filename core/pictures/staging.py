"""Files on their way in: copied where the sandboxed decoder may look at them, hashed, or listed with a reason."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fieldmark.core.contracts.source import IMAGE_SUFFIXES
from fieldmark.core.pictures.kinds import kind_of
from fieldmark.core.sources.opening import FileSource, open_source
from fieldmark.core.sources.rules import OpenSource, printable
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import copy_hashed

LARGEST_FILE = 200 * 2**20


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


class Tally(Protocol):
    """Where every file that was looked at is counted: seen = staged + refused + skipped."""

    seen: int
    refused: list[Listed]
    skipped: list[Listed]
    """Files of a folder or zip that are no images and don't claim to be."""


class Offer(Protocol):
    """Something to read that is not named by a path, such as files a browser sent."""

    @property
    def label(self) -> str:
        """What the person calls it."""

    def open(self) -> OpenSource:
        """Open it; raises `FieldmarkError` that says why it can't be read."""


def opened(offered: Path | Offer, tally: Tally) -> OpenSource | None:
    """Open what a person named or sent, or list why it can't be."""
    try:
        return open_source(offered) if isinstance(offered, Path) else offered.open()
    except FieldmarkError as error:
        tally.seen += 1
        name = (offered.name or str(offered)) if isinstance(offered, Path) else offered.label
        tally.refused.append(Listed(printable(name), str(error)))
        return None


def stage(source: OpenSource, folder: Path, numbers: Iterator[int], tally: Tally) -> Iterator[Staged]:
    """Copy the images of a source into `folder`, under numbers, and list what is refused or skipped."""
    for name in source.names():
        tally.seen += 1
        target = folder / f"{next(numbers)}.staged"
        try:
            claims = isinstance(source, FileSource) or Path(name).suffix.lower() in IMAGE_SUFFIXES
            if not claims and kind_of(source.head(name, 16)) is None:
                tally.skipped.append(Listed(name, "is not an image"))
                continue
            with source.open(name) as file:
                sha256, size = copy_hashed(file, target, LARGEST_FILE)
        except (FieldmarkError, OSError) as error:
            target.unlink(missing_ok=True)
            tally.refused.append(Listed(name, disk_reason(error)))
        else:
            yield Staged(name, sha256, size, target)
    tally.seen += len(source.refused)
    tally.refused += [Listed(refused.location, refused.reason) for refused in source.refused]


def disk_reason(error: FieldmarkError | OSError) -> str:
    """Return a sentence for a file that could not be read or written."""
    if isinstance(error, FieldmarkError):
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space and try again"
    return f"can't be read or stored: {error.strerror or error}"
