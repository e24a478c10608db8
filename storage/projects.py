"""Projects: an integer id, a unique name, and one current backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.errors import FieldmarkError


@dataclass(frozen=True, slots=True)
class Project:
    """A set of images with labels and models of its own."""

    id: int
    name: str
    backbone: str
    backbone_options: Mapping[str, Any]


_COLUMNS = "id, name, backbone, backbone_options"


def _project(row: tuple[Any, ...]) -> Project:
    return Project(row[0], row[1], row[2], json.loads(row[3]))


def create_project(db: Database, name: str, backbone: str) -> Project:
    """Make a project; raises `FieldmarkError` when the name is taken."""

    def insert(cursor: Cursor) -> tuple[Any, ...]:
        row = cursor.execute(
            f"insert into project (name, backbone, backbone_options, created) values (?, ?, '{{}}', ?) returning {_COLUMNS}",
            [name, backbone, now()],
        ).fetchone()
        assert row is not None
        return row

    try:
        return _project(db.write(insert))
    except duckdb.ConstraintException as error:
        raise FieldmarkError(f"there is a project called {name!r} already: choose another name") from error


def projects(db: Database) -> list[Project]:
    """Return all projects, oldest first."""
    return [_project(row) for row in db.rows(f"select {_COLUMNS} from project order by id")]


def project_by_id(db: Database, project_id: int) -> Project | None:
    """Return one project, or None."""
    row = db.row(f"select {_COLUMNS} from project where id = ?", [project_id])
    return _project(row) if row else None


def project_by_name(db: Database, name: str) -> Project | None:
    """Return one project, or None."""
    row = db.row(f"select {_COLUMNS} from project where name = ?", [name])
    return _project(row) if row else None


def set_backbone(db: Database, project_id: int, backbone: str, options: Mapping[str, Any]) -> None:
    """Make a backbone the project's current one."""
    db.write(
        lambda cursor: cursor.execute(
            "update project set backbone = ?, backbone_options = ? where id = ?",
            [backbone, json.dumps(options), project_id],
        ).fetchall()
    )
