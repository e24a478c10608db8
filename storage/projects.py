"""Projects: an integer id, a unique name, and one current backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from fieldmark.storage.database import Cursor, Database, now
from fieldmark.storage.errors import FieldmarkError, NotFound


@dataclass(frozen=True, slots=True)
class Project:
    """A set of images with labels and models of its own."""

    id: int
    name: str
    backbone: str
    backbone_options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a project holds."""

    images: int = 0
    labelled: int = 0
    unlabelled: int = 0
    models: int = 0
    labels: int = 0
    """Labels that are the default of any image."""
    learnable: int = 0
    """Labels that are the default of at least two images: one to learn from, one to check with."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a deleted project left outside the database."""

    models: tuple[int, ...]
    runs: tuple[int, ...]
    pictures: tuple[str, ...]
    """sha256 of each picture it held; other projects may hold it too."""


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


def rename_project(db: Database, project_id: int, name: str) -> None:
    """Give a project another name; raises `FieldmarkError` when it is taken, `NotFound` when the project is gone."""

    def change(cursor: Cursor) -> list[tuple[Any, ...]]:
        return cursor.execute(
            "update project set name = ? where id = ? returning id", [name, project_id]
        ).fetchall()

    try:
        if not db.write(change):
            raise NotFound("the project isn't there any more: it was deleted meanwhile")
    except duckdb.ConstraintException as error:
        raise FieldmarkError(f"there is a project called {name!r} already: choose another name") from error


def contents(db: Database) -> dict[int, Contents]:
    """Return {project id: how much it holds} of all projects, in a few passes whatever their number."""
    rows = db.rows(
        """
        with counted as (
            select project_id, state, default_label_id, count(*) as n from image group by all),
        images as (
            select project_id, sum(n) as images, sum(n) filter (where state = 'labelled') as labelled,
                sum(n) filter (where state = 'unlabelled') as unlabelled
            from counted group by project_id),
        per_label as (
            select project_id, default_label_id, sum(n) as n from counted
            where state = 'labelled' and default_label_id is not null group by all),
        labels as (
            select project_id, count(*) as labels, count(*) filter (where n >= 2) as learnable
            from per_label group by project_id),
        trained as (select project_id, count(*) as models from model group by project_id)
        select p.id, i.images, i.labelled, i.unlabelled, t.models, l.labels, l.learnable
        from project p
        left join images i on i.project_id = p.id
        left join labels l on l.project_id = p.id
        left join trained t on t.project_id = p.id
        """
    )
    return {row[0]: Contents(*(int(value or 0) for value in row[1:])) for row in rows}


def delete_project(cursor: Cursor, project_id: int) -> Leftover:
    """Forget a project and all that was recorded of it; the rows of pictures stay, as other projects may use them.

    Raises `NotFound` when it is gone already, and `FieldmarkError` while one of its runs goes on.
    """
    busy = cursor.execute(
        "select kind, name from run where project_id = ? and status = 'running' order by id", [project_id]
    ).fetchall()
    if busy:
        kinds = {"train": "training", "predict": "prediction"}
        names = ", ".join(f"{kinds.get(kind, kind)} {name!r}" for kind, name in busy[:5])
        raise FieldmarkError(f"the project is in use by the {names}: cancel it or wait until it has ended")
    of_project = "select id from image where project_id = ?"
    pictures = cursor.execute("select sha256 from image where project_id = ?", [project_id]).fetchall()
    models = cursor.execute("select id from model where project_id = ?", [project_id]).fetchall()
    runs = cursor.execute("select id from run where project_id = ?", [project_id]).fetchall()
    cursor.execute(
        "delete from prediction where model_id in (select id from model where project_id = ?)"
        " or run_id in (select id from run where project_id = ?)",
        [project_id, project_id],
    ).fetchall()
    for table in ("evaluation", "threshold", "curve_point", "checkpoint"):
        cursor.execute(
            f"delete from {table} where model_id in (select id from model where project_id = ?)", [project_id]
        ).fetchall()
    for table in ("annotation", "image_event"):
        cursor.execute(f"delete from {table} where image_id in ({of_project})", [project_id]).fetchall()
    for table in ("image_alias", "image", "label", "model", "run"):
        cursor.execute(f"delete from {table} where project_id = ?", [project_id]).fetchall()
    if not cursor.execute("delete from project where id = ? returning id", [project_id]).fetchall():
        raise NotFound("the project isn't there any more: it was deleted meanwhile")
    return Leftover(tuple(i for (i,) in models), tuple(i for (i,) in runs), tuple(sha for (sha,) in pictures))
