"""Models: what a training left, with checkpoints, learning curves, thresholds and evaluations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, Database


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model; its weights lie in `models/<id>/`."""

    id: int
    project_id: int
    run_id: int
    name: str
    task: str
    trainer: str
    trainer_options: Mapping[str, Any]
    trainer_distribution: str
    trainer_version: str
    backbone: str
    backbone_options: Mapping[str, Any]
    backbone_distribution: str
    fingerprint: str
    labels: tuple[str, ...]
    train_seconds: float
    embed_seconds: float
    ended: str
    notes: tuple[str, ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The weights of one moment of the training."""

    name: str
    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How good the weights of one step were on one split."""

    step: int
    seconds: float
    split: str
    accuracy: float | None
    cross_entropy: float | None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The score from which on a label counts as predicted."""

    checkpoint: str
    label: str
    value: float
    origin: str


_FIELDS = tuple(Model.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_JSON = {"trainer_options", "backbone_options"}


def _model(row: tuple[Any, ...]) -> Model:
    values = dict(zip(_FIELDS, row, strict=True))
    for name in _JSON:
        values[name] = json.loads(values[name])
    values["labels"], values["notes"] = tuple(values["labels"]), tuple(values["notes"])
    return Model(**values)


def add_model(
    cursor: Cursor,
    model: Model,
    checkpoints: Sequence[Checkpoint],
    curve: Sequence[CurvePoint],
    thresholds: Sequence[Threshold],
    evaluations: Mapping[tuple[str, str], str],
) -> None:
    """Record a model whose folder is in place. `evaluations` maps (checkpoint, split) to its JSON report."""
    values = [getattr(model, field) for field in _FIELDS]
    for index, field in enumerate(_FIELDS):
        if field in _JSON:
            values[index] = json.dumps(values[index])
        elif field in {"labels", "notes"}:
            values[index] = list(values[index])
    marks = ", ".join("?" * len(_FIELDS))
    cursor.execute(f"insert into model ({_COLUMNS}) values ({marks})", values).fetchall()
    for point in checkpoints:
        cursor.execute(
            "insert into checkpoint values (?, ?, ?, ?)", [model.id, point.name, point.step, point.seconds]
        ).fetchall()
    schema = [
        ("model_id", "int64"), ("step", "int64"), ("seconds", "double"), ("split", "string"),
        ("accuracy", "double"), ("cross_entropy", "double"),
    ]  # fmt: skip
    rows = [(model.id, p.step, p.seconds, p.split, p.accuracy, p.cross_entropy) for p in curve]
    with incoming(cursor, schema, rows):
        cursor.execute("insert into curve_point by name select * from incoming").fetchall()
    for threshold in thresholds:
        cursor.execute(
            "insert into threshold values (?, ?, ?, ?, ?)",
            [model.id, threshold.checkpoint, threshold.label, threshold.value, threshold.origin],
        ).fetchall()
    for (checkpoint, split), report in evaluations.items():
        cursor.execute(
            "insert into evaluation values (?, ?, ?, ?)", [model.id, checkpoint, split, report]
        ).fetchall()


def models(db: Database, project_id: int | None = None) -> list[Model]:
    """Return the models of a project, or of all, oldest first."""
    where, arguments = ("where project_id = ?", [project_id]) if project_id is not None else ("", [])
    return [_model(row) for row in db.rows(f"select {_COLUMNS} from model {where} order by id", arguments)]


def model_by_name(db: Database, project_id: int, name: str) -> Model | None:
    """Return one model, or None."""
    row = db.row(f"select {_COLUMNS} from model where project_id = ? and name = ?", [project_id, name])
    return _model(row) if row else None


def model_by_id(db: Database, model_id: int) -> Model | None:
    """Return one model, or None."""
    row = db.row(f"select {_COLUMNS} from model where id = ?", [model_id])
    return _model(row) if row else None


def checkpoints(db: Database, model_id: int) -> list[Checkpoint]:
    """Return a model's checkpoints: `best` and `last`."""
    rows = db.rows("select name, step, seconds from checkpoint where model_id = ? order by name", [model_id])
    return [Checkpoint(*row) for row in rows]


def curve(db: Database, model_id: int) -> list[CurvePoint]:
    """Return a model's learning curve in the order of training."""
    rows = db.rows(
        "select step, seconds, split, accuracy, cross_entropy from curve_point where model_id = ? order by step, split",
        [model_id],
    )
    return [CurvePoint(*row) for row in rows]


def thresholds(db: Database, model_id: int, checkpoint: str) -> dict[str, float]:
    """Return {label: threshold} of one checkpoint; empty when the highest score decides."""
    rows = db.rows(
        "select label, value from threshold where model_id = ? and checkpoint = ?", [model_id, checkpoint]
    )
    return dict(rows)


def evaluations(db: Database, model_id: int, checkpoint: str) -> dict[str, str]:
    """Return {split: JSON report} of one checkpoint."""
    rows = db.rows(
        "select split, report from evaluation where model_id = ? and checkpoint = ?", [model_id, checkpoint]
    )
    return dict(rows)


def validation_figures(db: Database, checkpoint: str) -> dict[int, tuple[float | None, float | None, int]]:
    """Return {model id: (accuracy, F1, images)} on the validation images of every model."""
    rows = db.rows(
        "select model_id, cast(json_extract(report, '$.accuracy') as double),"
        " cast(json_extract(report, '$.f1') as double), cast(json_extract(report, '$.count') as bigint)"
        " from evaluation where checkpoint = ? and split = 'validation'",
        [checkpoint],
    )
    return {model_id: (accuracy, f1, count) for model_id, accuracy, f1, count in rows}


def rename_model(db: Database, model_id: int, name: str) -> None:
    """Give a model another name; the caller has checked that it is free."""
    db.write(
        lambda cursor: cursor.execute("update model set name = ? where id = ?", [name, model_id]).fetchall()
    )


def is_there(cursor: Cursor, model_id: int) -> bool:
    """Return whether a model is recorded, inside a transaction."""
    return bool(cursor.execute("select 1 from model where id = ?", [model_id]).fetchall())


def delete_model(cursor: Cursor, model_id: int) -> None:
    """Forget a model and all that was recorded of it."""
    for table in ("prediction", "evaluation", "threshold", "curve_point", "checkpoint"):
        cursor.execute(f"delete from {table} where model_id = ?", [model_id]).fetchall()
    cursor.execute("delete from model where id = ?", [model_id]).fetchall()
