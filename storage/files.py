"""Files that are whole or not there: written beside, fsynced, renamed."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fieldmark.storage.errors import FieldmarkError

CHUNK = 1 << 20


def fsync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a file that becomes `target` in one step when the block ends without an error.

    Raises `FieldmarkError` naming the target when its folder is missing or can't be written.
    """
    temporary = target.with_name(f".{target.name[:80]}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        fsync_folder(target.parent)
    except OSError as error:
        raise FieldmarkError(f"{target} can't be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def copy_hashed(source: BinaryIO, target: Path, limit: int) -> tuple[str, int]:
    """Copy a stream to a new file in chunks; return its sha256 (hex) and size in bytes.

    Raises `FieldmarkError` when it holds more than `limit` bytes; the caller removes the file.
    """
    digest = hashlib.sha256()
    size = 0
    with target.open("xb") as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise FieldmarkError(f"is larger than {limit // 2**20} MiB")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest(), size


def fsync_file(path: Path) -> None:
    """Push a finished file to the disk before it is renamed into place."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
