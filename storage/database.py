"""The workspace's one DuckDB connection: opened hardened, migrated, shared by threads through cursors."""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from fieldmark.storage.errors import FieldmarkError, NotSaved

T = TypeVar("T")
Cursor = duckdb.DuckDBPyConnection
WRITE_ATTEMPTS = 12


def now() -> datetime:
    """Return the time in UTC without a zone, as every timestamp column holds it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Database:
    """One process owns the file; each use takes a cursor of its own.

    A connection that threads share without cursors returns another thread's rows (DuckDB's documentation
    asks for a cursor per thread).
    """

    def __init__(self, path: Path, readable: Path) -> None:
        self.path = path
        self._connection = _connect(path)
        self._harden(readable)
        migrate(self)

    def _harden(self, readable: Path) -> None:
        quoted = str(readable).replace("'", "''")
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

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """Give a cursor for reading."""
        cursor = self._connection.cursor()
        try:
            yield cursor
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

        Raises `NotSaved` when the others never let it through, or when disk or memory is short.
        """
        for attempt in range(WRITE_ATTEMPTS):
            with self.cursor() as cursor:
                try:
                    cursor.begin()
                    result = change(cursor)
                    cursor.commit()
                    return result
                except duckdb.TransactionException:
                    _roll_back(cursor)
                    time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))
                except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException) as error:
                    _roll_back(cursor)
                    raise NotSaved(f"nothing was saved: {_first_line(error)}") from error
                except BaseException:
                    _roll_back(cursor)
                    raise
        raise NotSaved("nothing was saved: others kept changing the same images; try again")


def _roll_back(cursor: Cursor) -> None:
    with suppress(duckdb.Error):  # one that failed at commit is already over
        cursor.rollback()


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "memory_limit": "2GB",
    }
    if path.exists() and not os.access(path, os.W_OK):
        raise FieldmarkError(
            f"{path} may not be written: get the right to, or copy the workspace and use the copy"
        )
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        holder = re.search(r"\(PID (\d+)\)", str(error))
        if holder:
            raise FieldmarkError(
                f"the workspace {path.parent} is in use by process {holder.group(1)}: "
                "wait until it has finished, or stop it"
            ) from error
        raise FieldmarkError(f"{path} can't be opened: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise FieldmarkError(
            f"{path} is damaged ({_first_line(error)}): "
            f"move {path.name}.wal aside to open it as of its last checkpoint, or restore a backup"
        ) from error


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
        database.close()
        raise FieldmarkError(
            f"the workspace {database.path.parent} was made by a newer Fieldmark (its schema is {have}, this "
            f"one reads up to {newest}): upgrade Fieldmark"
        )
    if 0 < have < newest:
        database.rows("checkpoint")
        shutil.copy2(database.path, database.path.with_name(f"{database.path.stem}.schema-{have}.duckdb"))
    for version, sql in known:
        if version > have:
            database.write(lambda cursor, v=version, s=sql: _apply(cursor, v, s))  # type: ignore[misc]


def _apply(cursor: Cursor, version: int, sql: str) -> None:
    cursor.execute(sql)
    cursor.execute("insert into schema_version values (?, ?)", [version, now()])
