"""Predictions: on new files or on a project's images, by one checkpoint, stored and ready to export."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from fieldmark.core.basket import Basket, Input
from fieldmark.core.contracts.exporter import ExportContext, PredictedImage
from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.jobs import control
from fieldmark.core.jobs.control import Cancelled
from fieldmark.core.jobs.files import FAILURES, RESULT, SCORES, PredictJob, Step
from fieldmark.core.learning.decision import predicted_labels
from fieldmark.core.pictures.staging import Listed, Offer, disk_reason
from fieldmark.storage import images, models, predictions, runs
from fieldmark.storage.database import Cursor
from fieldmark.storage.errors import FieldmarkError, NotFound
from fieldmark.storage.models import Model
from fieldmark.storage.predictions import Prediction
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import Run
from fieldmark.storage.workspace import Workspace

BATCH = 256
"""Predictions that are recorded at once."""


@dataclass(slots=True)
class Predicted:
    """What became of every input: seen = predicted + refused + skipped."""

    run: Run
    model: Model
    checkpoint: CheckpointName
    seen: int = 0
    predicted: int = 0
    refused: list[Listed] = field(default_factory=list)
    skipped: list[Listed] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    """{sha256: where its bytes lie}, of images that are not the project's."""


def predict_files(
    workspace: Workspace,
    model: Model,
    checkpoint: CheckpointName,
    offered: Sequence[Path | Offer],
    *,
    offline: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
) -> Predicted:
    """Predict files, folders and zips; the images stay in the run's folder until `forget`.

    Raises `FieldmarkError` when the model can't be used.
    """
    run = start_prediction(workspace, model)
    basket = Basket(workspace.run_folder(run.id))
    return predict_basket(workspace, run, model, checkpoint, basket, offered, offline=offline, tell=tell)


def predict_basket(
    workspace: Workspace,
    run: Run,
    model: Model,
    checkpoint: CheckpointName,
    basket: Basket,
    offered: Sequence[Path | Offer] = (),
    *,
    offline: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Predicted:
    """Add what is offered to the basket and predict all that is in it, in a run that was started for it."""
    outcome = Predicted(run, model, checkpoint)
    with _recorded(workspace, run):
        with _locked(basket.lock, cancelled):
            if offered:
                basket.add(offered, tell, cancelled)
            if cancelled():
                raise Cancelled("cancelled")
            if not basket.whole:
                raise FieldmarkError("the earlier images were not all read in: choose them again")
            inputs = tuple(basket.inputs)
            outcome.seen = basket.seen
            outcome.refused, outcome.skipped = list(basket.refused), list(basket.skipped)
        if not inputs:
            workspace.database.write(
                lambda cursor: runs.finish_run(cursor, run.id, "failed", "nothing to predict")
            )
            return outcome
        _predict(workspace, outcome, inputs, basket.embeddings, offline, tell, cancelled)
    return outcome


def predict_project(
    workspace: Workspace,
    run: Run,
    model: Model,
    checkpoint: CheckpointName,
    image_ids: Sequence[int] | None = None,
    *,
    offline: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Predicted:
    """Predict images of a project, all or those named by id, in a run that was started for it.

    Raises `FieldmarkError` when there is none.
    """
    outcome = Predicted(run, model, checkpoint)
    with _recorded(workspace, run):
        inputs = [
            Input(row.id, row.name, row.sha256, workspace.image_path(row.sha256))
            for row in images.image_rows(workspace.database, run.project_id, image_ids)
        ]
        gone = set(image_ids or ()) - {item.image_id for item in inputs}
        outcome.refused += [Listed(f"image {number}", "is not in this project") for number in sorted(gone)]
        if not inputs:
            raise FieldmarkError("the project holds no such image: upload some first, or choose others")
        outcome.seen = len(inputs) + len(gone)
        _predict(workspace, outcome, inputs, workspace.embeddings, offline, tell, cancelled)
    return outcome


def start_prediction(workspace: Workspace, model: Model) -> Run:
    """Record a prediction that is about to start."""
    return runs.start_run(workspace.database, model.project_id, "predict", model.name, model.id)


def export_records(workspace: Workspace, outcome: Predicted) -> Iterator[PredictedImage]:
    """Yield what was predicted in the form exporters take."""
    for row in predictions.predictions_of_run(workspace.database, outcome.run.id):
        path = outcome.paths.get(row.sha256, workspace.image_path(row.sha256))
        yield PredictedImage(
            row.image_name,
            row.predicted,
            dict(zip(outcome.model.labels, row.scores, strict=True)),
            partial(_opened, path, row.image_name),
        )


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise FieldmarkError(
            f"the image {name} of that prediction is gone: predict it again, or choose JSON or CSV, "
            "which need no image"
        ) from None


def recall(workspace: Workspace, run_id: int) -> Predicted:
    """Return a prediction that has ended, as it was recorded; raises `FieldmarkError` when there is none."""
    run = runs.run_by_id(workspace.database, run_id)
    if run is None or run.kind != "predict" or run.model_id is None:
        raise NotFound(f"there is no prediction {run_id}")
    if run.status != "finished":
        raise FieldmarkError(f"the prediction {run_id} has no result: it is {run.status}")
    model = models.model_by_id(workspace.database, run.model_id)
    first = next(predictions.predictions_of_run(workspace.database, run_id), None)
    if model is None or first is None:
        raise NotFound(f"the model of prediction {run_id} was deleted, and what it said with it")
    count = predictions.count_of_run(workspace.database, run_id)
    return Predicted(run, model, cast(CheckpointName, first.checkpoint), seen=count, predicted=count)


def export_context(outcome: Predicted, project: Project) -> ExportContext:
    """Return what an exporter is told before the first record."""
    return ExportContext(
        project.name, outcome.model.labels, outcome.predicted, outcome.model.name, outcome.checkpoint
    )


def forget(workspace: Workspace, outcome: Predicted) -> None:
    """Remove the copies of the predicted files; what was predicted stays recorded."""
    shutil.rmtree(workspace.run_folder(outcome.run.id), ignore_errors=True)


@contextmanager
def _locked(lock: threading.Lock, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Hold a lock that another prediction may hold for long, unless the person cancels meanwhile."""
    while not lock.acquire(timeout=0.2):
        if cancelled():
            raise Cancelled("cancelled")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _recorded(workspace: Workspace, run: Run) -> Iterator[None]:
    """Write down how a prediction run ended if it fails or is cancelled, and keep no copy of its inputs."""
    workspace.run_folder(run.id).mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception) and not isinstance(error, Cancelled)
        status: runs.RunStatus = "failed" if failed else "cancelled"
        message = disk_reason(error) if isinstance(error, OSError) else str(error)
        shutil.rmtree(workspace.run_folder(run.id), ignore_errors=True)
        workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, status, message))
        raise


def _predict(
    workspace: Workspace,
    outcome: Predicted,
    inputs: Sequence[Input],
    embeddings: Path,
    offline: bool,
    tell: Callable[[Step], None],
    cancelled: Callable[[], bool],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    model = outcome.model
    thresholds = models.thresholds(workspace.database, model.id, outcome.checkpoint)
    job = PredictJob(
        embeddings=embeddings,
        weights=workspace.weights,
        offline=offline,
        stop_with=os.getpid(),
        model=workspace.model_folder(model.id),
        checkpoint=outcome.checkpoint,
    )
    table = pa.table(
        {
            "sha256": [item.sha256 for item in inputs],
            "path": [str(item.path) for item in inputs],
        }
    )
    folder = workspace.run_folder(outcome.run.id)
    worker = control.launch(folder, job, table)
    for step in control.follow(folder, worker, cancelled):
        tell(step)
    result = folder / RESULT
    outcome.refused += [
        Listed(inputs[row["row"]].name, row["reason"]) for row in pq.read_table(result / FAILURES).to_pylist()
    ]
    outcome.paths.update({item.sha256: item.path for item in inputs if item.image_id is None})

    def record(cursor: Cursor) -> int:
        if not models.is_there(cursor, model.id):
            raise FieldmarkError(f"the model {model.name!r} was deleted while it predicted")
        predicted = 0
        with pq.ParquetFile(result / SCORES) as file:
            for block in file.iter_batches(BATCH):
                rows = block.to_pylist()
                predicted += len(rows)
                predictions.add_predictions(
                    cursor, [_prediction(outcome, inputs[row["row"]], row, thresholds) for row in rows]
                )
        runs.finish_run(cursor, outcome.run.id, "finished")
        return predicted

    outcome.predicted = workspace.database.write(record)


def _prediction(
    outcome: Predicted, item: Input, row: dict[str, Any], thresholds: dict[str, float]
) -> Prediction:
    model = outcome.model
    return Prediction(
        run_id=outcome.run.id,
        model_id=model.id,
        checkpoint=outcome.checkpoint,
        image_id=item.image_id,
        image_name=item.name,
        sha256=item.sha256,
        split=None,
        truth=None,
        predicted=predicted_labels(model.task, model.labels, row["scores"], thresholds),
        logits=tuple(row["logits"]),
        scores=tuple(row["scores"]),
    )
