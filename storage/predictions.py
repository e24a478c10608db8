"""Predictions: what which checkpoint of which model said about an image, with raw logits and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fieldmark.storage.bulk import incoming
from fieldmark.storage.database import Cursor, Database, now


@dataclass(frozen=True, slots=True)
class Prediction:
    """One image under one checkpoint; logits and scores in the order of the model's labels, scores 0..1."""

    run_id: int
    model_id: int
    checkpoint: str
    image_id: int | None
    """None for an image that is not of the project."""
    image_name: str
    sha256: str
    split: str | None
    """The part of the training it was evaluated in; None for a later prediction."""
    truth: tuple[str, ...] | None
    predicted: tuple[str, ...]
    logits: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """A prediction as a page lists it; `id` grows in the order of storing."""

    id: int
    image_id: int | None
    """None when the image is not of the project, or not any more."""
    image_name: str
    sha256: str
    truth: tuple[str, ...] | None
    predicted: tuple[str, ...]
    scores: tuple[float, ...]
    """In the order of the model's labels."""


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """Which predictions of one run; all that is given must hold."""

    run_id: int
    checkpoint: str | None = None
    training: bool = False
    """Only those that a training made of its own images."""
    split: str | None = None
    correct: bool | None = None
    """True: predicted and true labels are the same set."""
    truth: str | None = None
    """A label that the image truly carries."""
    predicted: str | None = None
    """A label that it was given."""


_FIELDS = tuple(Prediction.__dataclass_fields__)
_SCHEMA = [
    ("run_id", "int64"), ("model_id", "int64"), ("checkpoint", "string"), ("image_id", "int64"),
    ("image_name", "string"), ("sha256", "string"), ("split", "string"), ("truth", "list<string>"),
    ("predicted", "list<string>"), ("logits", "list<float>"), ("scores", "list<float>"),
]  # fmt: skip


def add_predictions(cursor: Cursor, predictions: Sequence[Prediction]) -> None:
    """Store predictions."""
    rows = [tuple(getattr(prediction, field) for field in _FIELDS) for prediction in predictions]
    with incoming(cursor, _SCHEMA, rows):
        cursor.execute(
            f"insert into prediction ({', '.join(_FIELDS)}, created) select *, ? from incoming", [now()]
        ).fetchall()


@dataclass(frozen=True, slots=True)
class PredictionRun:
    """A prediction that has a result, of a model that is still there."""

    run_id: int
    model: str
    checkpoint: str
    images: int
    finished: datetime
    """UTC, naive."""


def prediction_runs(db: Database, project_id: int, limit: int) -> list[PredictionRun]:
    """Return a project's predictions with a result, the latest first."""
    rows = db.rows(
        """
        with latest as (
            select r.id, m.name, r.finished from run r join model m on m.id = r.model_id
            where r.project_id = ? and r.kind = 'predict' and r.status = 'finished' order by r.id desc limit ?)
        select l.id, l.name, any_value(p.checkpoint), count(*), l.finished
        from latest l join prediction p on p.run_id = l.id group by l.id, l.name, l.finished order by l.id desc
        """,
        [project_id, limit],
    )
    return [PredictionRun(*row) for row in rows]


def count_of_run(db: Database, run_id: int) -> int:
    """Return how many images one run predicted."""
    found = db.row("select count(*) from prediction where run_id = ?", [run_id])
    return int(found[0]) if found else 0


def later_predictions(db: Database, model_id: int) -> int:
    """Return how many predictions a model has made since its training."""
    found = db.row("select count(*) from prediction where model_id = ? and split is null", [model_id])
    return int(found[0]) if found else 0


def predictions_of_run(db: Database, run_id: int) -> Iterator[Prediction]:
    """Yield what one run predicted, in the order it was stored, a block at a time."""
    with db.cursor() as cursor:
        cursor.execute(f"select {', '.join(_FIELDS)} from prediction where run_id = ? order by id", [run_id])
        while block := cursor.fetchmany(1000):
            for row in block:
                yield _prediction(row)


def _condition(chosen: PredictionFilter) -> tuple[str, list[Any]]:
    """Return a filter as SQL over `prediction p`, and the values of its parameters."""
    right = "(len(p.predicted) = len(p.truth) and list_has_all(p.predicted, p.truth))"
    parts: list[tuple[str, list[Any]]] = [("p.run_id = ?", [chosen.run_id])]
    if chosen.checkpoint is not None:
        parts.append(("p.checkpoint = ?", [chosen.checkpoint]))
    if chosen.training:
        parts.append(("p.split is not null", []))
    if chosen.split is not None:
        parts.append(("p.split = ?", [chosen.split]))
    if chosen.correct is not None:
        parts.append((right if chosen.correct else f"not {right}", []))
    if chosen.truth is not None:
        parts.append(("list_contains(p.truth, ?)", [chosen.truth]))
    if chosen.predicted is not None:
        parts.append(("list_contains(p.predicted, ?)", [chosen.predicted]))
    return " and ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]


def prediction_page(
    db: Database, project_id: int, chosen: PredictionFilter, after: int, limit: int
) -> tuple[list[StoredPrediction], int]:
    """Return the first `limit` predictions with an id above `after`, and how many the filter holds in all."""
    where, arguments = _condition(chosen)
    with db.cursor() as cursor:
        cursor.begin()  # page and total are of one moment; ends with the cursor
        # The ids first, with the count: the long columns are then read for one page alone.
        [(total, ids)] = cursor.execute(
            f"select count(*), min(p.id, ?::bigint) filter (p.id > ?::bigint) from prediction p where {where}",
            [limit, after, *arguments],
        ).fetchall()
        rows = cursor.execute(
            """
            select p.id, i.id, p.image_name, p.sha256, p.truth, p.predicted, p.scores from prediction p
            left join image i on i.id = p.image_id and i.project_id = ?
            where p.id in (select unnest(?::bigint[])) order by p.id
            """,
            [project_id, ids or []],
        ).fetchall()
    return [StoredPrediction(*_tuples(row)) for row in rows], total


def _tuples(row: Sequence[Any]) -> list[Any]:
    return [tuple(value) if isinstance(value, list) else value for value in row]


def _prediction(row: Sequence[Any]) -> Prediction:
    return Prediction(*_tuples(row))
