"""Predictions: what which checkpoint of which model said about an image, with raw logits and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


def predictions_of_run(db: Database, run_id: int) -> Iterator[Prediction]:
    """Yield what one run predicted, in the order it was stored, a block at a time."""
    with db.cursor() as cursor:
        cursor.execute(f"select {', '.join(_FIELDS)} from prediction where run_id = ? order by id", [run_id])
        while block := cursor.fetchmany(1000):
            for row in block:
                yield _prediction(row)


def _prediction(row: Sequence[Any]) -> Prediction:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return Prediction(*values)
