"""The workspace's one DuckDB connection: opened hardened, migrated, shared by threads through cursors."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from fieldmark.storage.errors import FieldmarkError, NotSaved
from fieldmark.storage.opening import connect, open_or_set_aside, trouble

T = TypeVar("T")
Cursor = duckdb.DuckDBPyConnection
WRITE_ATTEMPTS = 12
CHECKPOINT_SECONDS = 300.0
CHECKPOINT_ROOM = 256 * 2**20
"""Bytes free on the disk below which none is tried: one that fails midway can stop the database."""


def now() -> datetime:
    """Return the time in UTC without a zone, as every timestamp column holds it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Database:
    """One process owns the file; each use takes a cursor of its own.

    A connection that threads share without cursors returns another thread's rows (DuckDB's documentation
    asks for a cursor per thread). A damaged file is set aside and what is left opened; `notices` says so.
    """

    def __init__(self, path: Path, readable: Path) -> None:
        self.path = path
        self._readable = readable
        self._connection, self.notices = open_or_set_aside(path)
        self._harden()
        self._checkpointed = time.monotonic()
        self._checkpointing = threading.Lock()
        try:
            migrate(self)
        except BaseException:
            self.close()
            raise

    def _harden(self) -> None:
        quoted = str(self._readable).replace("'", "''")
        for setting in (
            "TimeZone='UTC'",
            f"allowed_directories=['{quoted}/']",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            self._connection.execute("set " + setting)

    def close(self) -> None:
        """Write the log into the file and release it."""
        self._connection.close()

    def copy(self, target: Path) -> None:
        """Copy the file as it is now; no other thread may use the database meanwhile."""
        self.rows("checkpoint")
        # Whoever closes a file drops all locks that its process has on it, DuckDB's too: so it's closed meanwhile.
        self.close()
        shutil.copy2(self.path, target)
        self._connection = connect(self.path)
        self._harden()

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """Give a cursor for reading; raises `FieldmarkError` when the file turns out to be damaged or unreadable."""
        cursor = self._connection.cursor()
        try:
            yield cursor
        except duckdb.Error as error:
            sentence = trouble(error, self.path)
            if sentence is None:
                raise
            raise FieldmarkError(sentence) from error
        finally:
            cursor.close()

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.cursor() as cursor:
            return cursor.execute(sql, list(arguments)).fetchall()

    def row(self, sql: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        rows = self.rows(sql, arguments)
        return rows[0] if rows else None

    def write(self, change: Callable[[Cursor], T]) -> T:
        """Run `change` in one transaction, again if another writer touched the same rows.

        Raises `NotSaved` when the others never let it through, when disk or memory is short, or when the file is
        damaged.
        """
        result = self._write(change)
        self._checkpoint_soon()
        return result

    def _write(self, change: Callable[[Cursor], T]) -> T:
        for attempt in range(WRITE_ATTEMPTS):
            cursor = self._connection.cursor()
            try:
                cursor.begin()
                result = change(cursor)
                cursor.commit()
                return result
            except duckdb.Error as error:
                _roll_back(cursor)
                sentence = trouble(error, self.path)
                if sentence is not None:
                    raise NotSaved(f"nothing was saved: {sentence}") from error
                if not isinstance(error, duckdb.TransactionException):
                    raise
                time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))
            except BaseException:
                _roll_back(cursor)
                raise
            finally:
                cursor.close()
        raise NotSaved("nothing was saved: others kept changing the same images; try again")

    def _checkpoint_soon(self) -> None:
        """Move the log into the file when that was last done a while ago.

        DuckDB by itself does it at 16 MB and at the end, which for one who labels may be weeks: a damaged log would
        cost them all. It takes some 10 ms and holds up no reader.
        """
        if time.monotonic() - self._checkpointed < CHECKPOINT_SECONDS or not self._checkpointing.acquire(
            False
        ):
            return
        try:
            self._checkpointed = time.monotonic()
            if shutil.disk_usage(self.path.parent).free > CHECKPOINT_ROOM:
                with self.cursor() as cursor:
                    cursor.execute("checkpoint").fetchall()
        except (
            duckdb.Error,
            FieldmarkError,
            OSError,
        ):  # what was written is safe in the log; the next turn may do it
            pass
        finally:
            self._checkpointing.release()


def _roll_back(cursor: Cursor) -> None:
    with suppress(duckdb.Error):  # one that failed at commit is already over
        cursor.rollback()


def migrations() -> list[tuple[int, str]]:
    """Return (version, SQL) of every migration, oldest first."""
    folder = resources.files("fieldmark.storage.migrations")
    found = [
        (int(entry.name.split("_")[0]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found)


def migrate(database: Database) -> None:
    """Bring the schema up to date, keeping a copy of an older file; refuse a newer one by name."""
    database.rows(
        "create table if not exists schema_version (version integer not null, applied timestamp not null)"
    )
    found = database.row("select coalesce(max(version), 0) from schema_version")
    have = int(found[0]) if found else 0
    known = migrations()
    newest = known[-1][0]
    if have > newest:
        raise FieldmarkError(
            f"the workspace {database.path.parent} was made by a newer Fieldmark (its schema is {have}, this "
            f"one reads up to {newest}): upgrade Fieldmark"
        )
    if 0 < have < newest:
        database.copy(database.path.with_name(f"{database.path.stem}.schema-{have}.duckdb"))
    for version, sql in known:
        if version > have:
            database.write(lambda cursor, v=version, s=sql: _apply(cursor, v, s))  # type: ignore[misc]


def _apply(cursor: Cursor, version: int, sql: str) -> None:
    cursor.execute(sql)
    cursor.execute("insert into schema_version values (?, ?)", [version, now()])
