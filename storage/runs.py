"""Runs: each training, embedding or prediction job with its status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.errors import FieldmarkError, NotFound

RunKind = Literal["train", "predict", "upload"]
RunStatus = Literal["running", "finished", "failed", "cancelled", "interrupted"]


class NameTaken(FieldmarkError):
    """A training can't start under this name."""


@dataclass(frozen=True, slots=True)
class Run:
    """One job; `name` is the model's name for a training or prediction, and what was sent for an upload."""

    id: int
    project_id: int
    kind: RunKind
    name: str
    model_id: int | None
    status: RunStatus
    message: str | None
    created: datetime
    finished: datetime | None


_COLUMNS = "id, project_id, kind, name, model_id, status, message, created, finished"


def start_run(db: Database, project_id: int, kind: RunKind, name: str, model_id: int | None = None) -> Run:
    """Record a run that is about to start; a training gets the id of the model it will leave.

    Raises `NotFound` when the project is gone, and `NameTaken` when a model or another training has the name.
    """

    def insert(cursor: Cursor) -> tuple[Any, ...]:
        # A write, so that it collides with the project's deletion and with another start at the same moment.
        if not cursor.execute(
            "update project set name = name where id = ? returning id", [project_id]
        ).fetchall():
            raise NotFound("the project was deleted meanwhile: choose another")
        if kind == "train" and _taken(cursor, project_id, name):
            raise NameTaken(f"there is a model called {name!r} already, or one is being trained")
        model = "nextval('model_id')" if kind == "train" else "?"
        arguments = [project_id, kind, name, *([] if kind == "train" else [model_id]), now()]
        row = cursor.execute(
            "insert into run (project_id, kind, name, model_id, status, created)"
            f" values (?, ?, ?, {model}, 'running', ?) returning {_COLUMNS}",
            arguments,
        ).fetchone()
        assert row is not None
        return row

    return Run(*db.write(insert))


def _taken(cursor: Cursor, project_id: int, name: str) -> bool:
    return bool(
        cursor.execute(
            "select 1 from model where project_id = ? and name = ? union all "
            "select 1 from run where project_id = ? and name = ? and kind = 'train' and status = 'running'",
            [project_id, name, project_id, name],
        ).fetchall()
    )


def finish_run(cursor: Cursor, run_id: int, status: RunStatus, message: str | None = None) -> None:
    """Record how a run ended."""
    cursor.execute(
        "update run set status = ?, message = ?, finished = ? where id = ?", [status, message, now(), run_id]
    ).fetchall()


def run_by_id(db: Database, run_id: int) -> Run | None:
    """Return one run, or None."""
    row = db.row(f"select {_COLUMNS} from run where id = ?", [run_id])
    return Run(*row) if row else None


def latest_runs(db: Database, project_id: int, limit: int) -> list[Run]:
    """Return a project's runs that have ended, the latest first."""
    return [
        Run(*row)
        for row in db.rows(
            f"select {_COLUMNS} from run where project_id = ? and status <> 'running' order by id desc limit ?",
            [project_id, limit],
        )
    ]


def running(db: Database) -> list[Run]:
    """Return the runs that have not been recorded as ended."""
    return [Run(*row) for row in db.rows(f"select {_COLUMNS} from run where status = 'running' order by id")]
