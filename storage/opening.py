"""A DuckDB file is opened, or refused by name; what is damaged of it is set aside, and what is left opened."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from fieldmark.storage import damage, holder
from fieldmark.storage.damage import first_line
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import fsync_file, fsync_folder
from fieldmark.storage.log import drops_commits

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "2GB",
}
_TRIES = 3
"""The log may be set aside, then the database."""


def open_or_set_aside(path: Path) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """Open the database, making it where there is none; return it and a sentence for each file set aside.

    Raises `FieldmarkError` when another process holds it, when it may not be used, and for every error that isn't
    known as damage; then nothing was renamed.
    """
    notices: list[str] = []
    saved = _last_saved(path)
    if not path.exists() and damage.logs_of(path):  # DuckDB would delete them
        aside = damage.set_aside(path, "log")
        notices.append(
            f"{aside} is the change log of a database that isn't there any more: it was set aside, and an empty "
            f"database made. If you have the database, stop Fieldmark and put both back under their old names"
        )
    copy = _copy_of_broken_log(path)
    if copy:
        notices.append(
            f"the change log of {path} is damaged: {copy} is a copy of it as it was found. Changes made after {saved} "
            f"may be missing: look through what was labelled or trained then. {_KEPT}"
        )
    for _ in range(_TRIES):
        try:
            return _connect(path), notices
        except duckdb.Error as error:
            which = damage.damaged(error, path)
            if which is None:
                raise FieldmarkError(refusal(error, path)) from error
            in_both = which == "log" and damage.database_is_damaged(error, path)
            aside = damage.set_aside(path, which)
            if copy and which == "log" and filecmp.cmp(copy, aside, shallow=False):
                copy.unlink()
                notices.pop()
                copy = None
            if which == "database":
                notices.append(
                    f"{path} was damaged ({first_line(error)}): it was set aside as {aside}, and an empty database "
                    "made. Projects, labels, statistics and the list of models are missing; the files of images and "
                    f"models are where they were. {_KEPT} To get them back, stop Fieldmark and put a backup of "
                    f"the database in the place of {path.name}"
                )
            else:
                also = "; a part of the database itself is damaged too" if in_both else ""
                notices.append(
                    f"the change log of {path} could not be applied{also}: it was set aside as {aside}, and the "
                    f"database opened as it was at {saved}. Labels, uploads and trainings since then are missing: make "
                    f"them again, or restore a backup. {_KEPT}"
                )
    raise FieldmarkError(f"{path} can't be opened, though its damaged files were set aside: restore a backup")


_KEPT = "Nothing was deleted."


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the database as it is; raises `FieldmarkError`."""
    try:
        return _connect(path)
    except duckdb.Error as error:
        raise FieldmarkError(refusal(error, path)) from error


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    new = not path.exists()
    if not new and not os.access(path, os.W_OK):
        raise FieldmarkError(
            f"{path} may not be written: get the right to, or copy the workspace and use the copy"
        )
    try:
        return duckdb.connect(str(path), config=_CONFIG)
    except duckdb.Error:
        if new and path.is_file() and path.stat().st_size == 0:
            path.unlink()  # a disk that was full: the empty file would read as a damaged database next time
        raise


def refusal(error: duckdb.Error, path: Path) -> str:
    """Return the sentence for a database that is not opened and not touched."""
    text = str(error)
    if "Could not set lock" in text:
        found = re.search(r"\(PID (\d+)\)", text)
        if found is None:
            return f"the workspace {path.parent} is in use by another process: wait until it has finished, or stop it"
        pid = int(found[1])
        address = holder.address_of(path.parent, pid)
        if address:
            return (
                f"the workspace {path.parent} is in use by process {pid}, Fieldmark's app at {address}: "
                "use the app, or stop it first"
            )
        return (
            f"the workspace {path.parent} is in use by process {pid}: wait until it has finished, or stop it"
        )
    if damage.is_newer(error):
        return f"{path} was written by a newer DuckDB ({first_line(error)}): upgrade Fieldmark"
    return f"{path} can't be opened ({first_line(error)}): nothing of it was changed; mend that and try again"


def trouble(error: duckdb.Error, path: Path) -> str | None:
    """Return the sentence for an error of an open database that is about its file, disk or memory; None for others."""
    if damage.database_is_damaged(error, path):
        return (
            f"{path} is damaged ({first_line(error)}): what doesn't touch the damaged part still works; "
            "stop Fieldmark and restore a backup of it"
        )
    if isinstance(error, duckdb.FatalException) or "has been invalidated" in str(error):
        return (
            f"the database {path} has stopped ({first_line(error)}): start Fieldmark again; what was "
            "saved before is kept"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"the database ran out of memory ({first_line(error)}): close other programs and try again"
    if isinstance(error, duckdb.IOException | duckdb.SerializationException):
        return f"the database {path} can't use its disk ({first_line(error)}): make room or mend it, and try again"
    return None


def _last_saved(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except OSError:
        return "its last checkpoint"


def _copy_of_broken_log(path: Path) -> Path | None:
    """Copy a log that DuckDB would silently drop changes of, unless another process is writing it just now."""
    log = path.with_name(path.name + ".wal")
    if not path.is_file() or not drops_commits(log) or damage.locked_elsewhere(path):
        return None
    copy = damage.name_for_copy(path)
    try:
        shutil.copy2(log, copy)
        fsync_file(copy)
        fsync_folder(copy.parent)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise FieldmarkError(
            f"{log} is damaged, and a copy can't be kept ({error.strerror}): make room, and open the workspace again"
        ) from error
    return copy
