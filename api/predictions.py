"""What models said of images, over REST."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from fieldmark.api.context import Context, ProjectInPath
from fieldmark.core.contracts.terms import CheckpointName, Split
from fieldmark.core.models import find_model
from fieldmark.core.paging import DEFAULT_PAGE
from fieldmark.core.prediction_pages import PredictionPage, Verdict, run_predictions, training_predictions
from fieldmark.storage.predictions import StoredPrediction

router = APIRouter()


@router.get("/projects/{project}/predictions")
def list_training_predictions(
    project: ProjectInPath,
    app: Context,
    model: str,
    checkpoint: CheckpointName = "best",
    split: Annotated[Split | None, Query(alias="set")] = None,
    verdict: Verdict | None = None,
    truth: str | None = None,
    predicted: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> dict[str, Any]:
    """Return what a model said of the images of its own training; `truth` and `predicted` name one label each."""
    found = find_model(app.workspace, project, model)
    return _answer(
        training_predictions(
            app.workspace,
            found,
            checkpoint,
            split=split,
            verdict=verdict,
            truth=truth,
            predicted=predicted,
            cursor=cursor,
            limit=limit,
        )
    )


@router.get("/runs/{run}/predictions")
def list_run_predictions(
    run: int, app: Context, cursor: str | None = None, limit: int = DEFAULT_PAGE
) -> dict[str, Any]:
    """Return what a prediction run said."""
    answer = _answer(run_predictions(app.workspace, run, cursor, limit))
    for row in answer["predictions"]:
        if row["image"] is None:
            kept = f"api/v1/runs/{run}/images/{row['sha256']}"
            row |= {"thumbnail": f"{kept}/thumbnail", "original": f"{kept}/original"}
    return answer


def _answer(found: PredictionPage) -> dict[str, Any]:
    return {
        "predictions": [_prediction(row, found.labels) for row in found.page.rows],
        "next": found.page.next,
        "total": found.page.total,
    }


def _prediction(row: StoredPrediction, labels: tuple[str, ...]) -> dict[str, Any]:
    ranked = sorted(zip(labels, row.scores, strict=True), key=lambda pair: -pair[1])
    return {
        "image": row.image_id,
        "name": row.image_name,
        "sha256": row.sha256,
        "predicted": row.predicted,
        "truth": row.truth,
        "correct": None if row.truth is None else set(row.truth) == set(row.predicted),
        "scores": [{"label": label, "score": score} for label, score in ranked],
    }
