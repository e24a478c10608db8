"""What a model said of images, a page at a time: of those of its own training with the truth, or of one run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fieldmark.core.contracts.terms import CheckpointName, Split
from fieldmark.core.paging import DEFAULT_PAGE, Page, check_limit, page_of, read_cursor
from fieldmark.core.pictures.showing import remember_pictures
from fieldmark.storage import models, predictions, runs
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.images import LARGEST_ID
from fieldmark.storage.models import Model
from fieldmark.storage.predictions import PredictionFilter, StoredPrediction
from fieldmark.storage.workspace import Workspace

Verdict = Literal["correct", "incorrect"]


@dataclass(frozen=True, slots=True)
class PredictionPage:
    """A page of predictions with the names of the scores."""

    labels: tuple[str, ...]
    """Of the model, in the order of every prediction's scores."""
    page: Page[StoredPrediction]


def training_predictions(
    workspace: Workspace,
    model: Model,
    checkpoint: CheckpointName = "best",
    *,
    split: Split | None = None,
    verdict: Verdict | None = None,
    truth: str | None = None,
    predicted: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> PredictionPage:
    """Return what a checkpoint said of the images of its training, as it was when the training ended.

    `correct` means that the predicted labels are exactly the true ones, as in the evaluation's accuracy. `truth` and
    `predicted` name labels: together, a cell of the confusion matrix.
    Raises `FieldmarkError` for a label, cursor or limit that can't be used.
    """
    for label in (truth, predicted):
        if label is not None and label not in model.labels:
            raise FieldmarkError(
                f"the model {model.name!r} has no label {label!r}: it knows {', '.join(model.labels[:20])}"
            )
    chosen = PredictionFilter(
        model.run_id,
        checkpoint,
        training=True,
        split=split,
        correct=None if verdict is None else verdict == "correct",
        truth=truth,
        predicted=predicted,
    )
    return _page(workspace, model, chosen, cursor, limit)


def run_predictions(
    workspace: Workspace, run_id: int, cursor: str | None = None, limit: int = DEFAULT_PAGE
) -> PredictionPage:
    """Return what a prediction run said, in the order of its images; so far, while it goes on.

    Raises `NotFound` when there is no such prediction or its model was deleted.
    """
    run = runs.run_by_id(workspace.database, run_id) if run_id <= LARGEST_ID else None
    if run is None or run.kind != "predict":
        raise NotFound(f"there is no prediction {run_id}: it may have been deleted")
    model = next((m for m in models.models(workspace.database, run.project_id) if m.id == run.model_id), None)
    if model is None:
        raise NotFound(f"the model {run.name!r} was deleted, and what it predicted with it: predict again")
    return _page(workspace, model, PredictionFilter(run.id), cursor, limit)


def _page(
    workspace: Workspace, model: Model, chosen: PredictionFilter, cursor: str | None, limit: int
) -> PredictionPage:
    after, limit = read_cursor(cursor), check_limit(limit)
    rows, total = predictions.prediction_page(workspace.database, model.project_id, chosen, after, limit + 1)
    remember_pictures(workspace, {row.image_id: row.sha256 for row in rows if row.image_id is not None})
    return PredictionPage(model.labels, page_of(rows, total, limit))
