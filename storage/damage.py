"""Which errors of the database mean that its files are damaged, and how those are set aside: renamed, never deleted.

Only errors known as damage count, each met by flipping, cutting and overwriting real files under DuckDB 2.0; for any
other (a lock, a right, a full disk, a newer version, an engine's own mistake) nothing is moved.
"""

from __future__ import annotations

import fcntl
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fieldmark.storage.files import fsync_folder

Damaged = Literal["log", "database"]

_ABOUT_THE_LOG = re.compile(r"Failure while replaying WAL|WAL checkpoint iteration does not match")
_BAD_LOG = re.compile(
    r"Corrupt WAL|does not match|Failed to decode LEB128 integer|database identifier in header out of range"
    r"|Invalid WAL entry type|unordered_map::at"
)
_BAD_DATABASE = re.compile(
    r"[Cc]orrupt database file|not a valid DuckDB database file|appears to be corrupted|Corrupted [A-Za-z]+ segment"
)
_TOO_SHORT = re.compile(
    r'Could not read enough bytes from file "(.+)": attempted to read (\d+) bytes from location (\d+)'
)
_NEWER = re.compile(
    r"storage version number|newer version of DuckDB|greater than the latest version|Failed to read WAL of version"
)
_LOG_ENDINGS = (".wal", ".wal.checkpoint", ".wal.recovery")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def damaged(error: BaseException, path: Path) -> Damaged | None:
    """Return which file an error at opening calls damaged, or None for anything that isn't known as damage.

    A log that meets a damaged block of the database can't be applied either: then it's the log that must go first.
    """
    text = str(error)
    if is_newer(error):
        return None
    if _ABOUT_THE_LOG.search(text):
        return "log" if _BAD_LOG.search(text) or database_is_damaged(error, path) else None
    return "database" if database_is_damaged(error, path) else None


def database_is_damaged(error: BaseException, path: Path) -> bool:
    """Return whether an error says that the database's own file is damaged, then or later."""
    text = str(error)
    if _BAD_DATABASE.search(text):
        return True
    short = _TOO_SHORT.search(text)
    if short is None or short[1] != str(path):
        return False
    try:  # only when the file really ends before: a disk that fails is no damaged file
        return path.stat().st_size < int(short[2]) + int(short[3])
    except OSError:
        return False


def is_newer(error: BaseException) -> bool:
    """Return whether an error says that a newer DuckDB wrote the file."""
    return bool(_NEWER.search(str(error)))


def logs_of(path: Path) -> list[Path]:
    """Return the logs that lie beside a database."""
    beside = [path.with_name(path.name + ending) for ending in _LOG_ENDINGS]
    return [log for log in beside if log.is_file()]


def set_aside(path: Path, which: Damaged) -> Path:
    """Rename the log (or the database with its logs) and return the new name of the file that is damaged."""
    stamp = _stamp(path)
    if which == "log":
        log = path.with_name(path.name + ".wal")
        moved = [(each, each.with_name(f"{each.name}.damaged-{stamp}")) for each in logs_of(path)]
        aside = log.with_name(f"{log.name}.damaged-{stamp}")
    else:
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        # DuckDB looks for a log under the database's whole name: so the two still belong together.
        moved = [(path, aside)] + [
            (each, each.with_name(aside.name + each.name[len(path.name) :])) for each in logs_of(path)
        ]
    for old, new in reversed(moved):
        os.replace(old, new)
    fsync_folder(path.parent)
    return aside


def name_for_copy(path: Path) -> Path:
    """Return a free name for a copy of the database's log."""
    return path.with_name(f"{path.name}.wal.damaged-{_stamp(path)}")


def left_aside(path: Path) -> list[Path]:
    """Return what was set aside beside a database, ever."""
    return sorted(
        each for each in path.parent.iterdir() if each.name.startswith(path.name) and ".damaged-" in each.name
    )


def locked_elsewhere(path: Path) -> bool:
    """Return whether another process has the database open. Never ask it of a database this process has open."""
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return path.exists()
    return False


def _stamp(path: Path) -> str:
    """Return the time in UTC, made different from every stamp that is there."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    taken = [each.name for each in left_aside(path)]
    free = stamp
    while any(f".damaged-{free}" in name for name in taken):
        number += 1
        free = f"{stamp}-{number}"
    return free
