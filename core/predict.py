"""Predictions: on new files or on a project's images, by one checkpoint, stored and ready to export."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldmark.core.contracts.exporter import ExportContext, PredictedImage
from fieldmark.core.contracts.terms import CheckpointName
from fieldmark.core.jobs import control
from fieldmark.core.jobs.files import RESULT, PredictJob, Step
from fieldmark.core.jobs.prediction_job import FAILURES, SCORES
from fieldmark.core.learning.scores import predicted_labels
from fieldmark.core.pictures.decoding import Decoded, DecodeJob, Decoders
from fieldmark.core.pictures.staging import Listed, Staged, opened, stage
from fieldmark.storage import images, models, predictions, runs
from fieldmark.storage.database import Cursor
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.images import numbered
from fieldmark.storage.models import Model
from fieldmark.storage.predictions import Prediction
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import Run
from fieldmark.storage.workspace import Workspace

BATCH = 256


@dataclass(frozen=True, slots=True)
class Input:
    """One image to predict; `image_id` None for a file that is not of the project."""

    image_id: int | None
    name: str
    sha256: str
    path: Path


@dataclass(slots=True)
class Predicted:
    """What became of every input: seen = predicted + refused + skipped."""

    run: Run
    model: Model
    checkpoint: CheckpointName
    folder: Path
    seen: int = 0
    predicted: int = 0
    refused: list[Listed] = field(default_factory=list)
    skipped: list[Listed] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    """{sha256: where its bytes lie}."""


def predict_files(
    workspace: Workspace,
    model: Model,
    checkpoint: CheckpointName,
    paths: Sequence[Path],
    *,
    offline: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
) -> Predicted:
    """Predict files, folders and zips; the images stay in the run's folder until `forget`.

    Raises `FieldmarkError` when the model can't be used.
    """
    run = runs.start_run(workspace.database, model.project_id, "predict", model.name, model.id)
    outcome = Predicted(run, model, checkpoint, workspace.run_folder(run.id))
    with _recorded(workspace, run):
        inputs = list(_admitted(paths, outcome.folder / "inputs", outcome, tell))
        if not inputs:
            workspace.database.write(
                lambda cursor: runs.finish_run(cursor, run.id, "failed", "nothing to predict")
            )
            return outcome
        inputs = _distinct(inputs)
        _predict(workspace, outcome, inputs, outcome.folder / "embeddings", offline, tell)
    return outcome


def predict_project(
    workspace: Workspace,
    project: Project,
    model: Model,
    checkpoint: CheckpointName,
    *,
    offline: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
) -> Predicted:
    """Predict every image of a project; raises `FieldmarkError` when there is none."""
    inputs = [
        Input(row.id, row.name, row.sha256, workspace.image_path(row.sha256))
        for row in images.image_rows(workspace.database, project.id)
    ]
    if not inputs:
        raise FieldmarkError(f"the project {project.name!r} holds no image: upload some first")
    run = runs.start_run(workspace.database, model.project_id, "predict", model.name, model.id)
    outcome = Predicted(run, model, checkpoint, workspace.run_folder(run.id), seen=len(inputs))
    with _recorded(workspace, run):
        _predict(workspace, outcome, inputs, workspace.embeddings, offline, tell)
    return outcome


def export_records(workspace: Workspace, outcome: Predicted) -> Iterator[PredictedImage]:
    """Yield what was predicted in the form exporters take."""
    for row in predictions.predictions_of_run(workspace.database, outcome.run.id):
        path = outcome.paths[row.sha256]
        yield PredictedImage(
            row.image_name,
            row.predicted,
            dict(zip(outcome.model.labels, row.scores, strict=True)),
            lambda path=path: path.open("rb"),  # type: ignore[misc]
        )


def export_context(outcome: Predicted, project: Project) -> ExportContext:
    """Return what an exporter is told before the first record."""
    return ExportContext(
        project.name, outcome.model.labels, outcome.predicted, outcome.model.name, outcome.checkpoint
    )


def forget(workspace: Workspace, outcome: Predicted) -> None:
    """Remove the copies of the predicted files; what was predicted stays recorded."""
    shutil.rmtree(workspace.run_folder(outcome.run.id), ignore_errors=True)


@contextmanager
def _recorded(workspace: Workspace, run: Run) -> Iterator[None]:
    """Write down how a prediction run ended if it fails or is cancelled, and keep no copy of its inputs."""
    workspace.run_folder(run.id).mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException as error:
        status: runs.RunStatus = "failed" if isinstance(error, FieldmarkError) else "cancelled"
        message = str(error)
        shutil.rmtree(workspace.run_folder(run.id), ignore_errors=True)
        workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, status, message))
        raise


def _admitted(
    paths: Sequence[Path], folder: Path, outcome: Predicted, tell: Callable[[Step], None]
) -> Iterator[Input]:
    """Copy images into the run's folder; list what can't be read or the sandboxed decoder refuses."""
    folder.mkdir()
    staged = _staged(paths, folder, outcome)
    with Decoders() as decoders:
        while batch := list(itertools.islice(staged, BATCH)):
            jobs = (DecodeJob(item.path, folder / "thumbnail.jpg", item) for item in batch)
            for job, result in decoders.check(jobs):
                if isinstance(result, Decoded):
                    yield Input(None, job.key.name, job.key.sha256, job.key.path)
                else:
                    outcome.refused.append(Listed(job.key.name, result.reason))
                    job.key.path.unlink(missing_ok=True)
            tell(Step(stage="check", done=outcome.seen))


def _staged(paths: Sequence[Path], folder: Path, outcome: Predicted) -> Iterator[Staged]:
    numbers = itertools.count()
    for path in paths:
        source = opened(path, outcome)
        if source is not None:
            with source:
                yield from stage(source, folder, numbers, outcome)


def _distinct(inputs: Sequence[Input]) -> list[Input]:
    """Number names that come twice: two folders may both hold `a.jpg`."""
    given: set[str] = set()
    numbers: dict[str, int] = {}
    result = []
    for item in inputs:
        name, number = item.name, numbers.get(item.name, 1)
        while name in given:
            number += 1
            name = numbered(item.name, number)
        numbers[item.name] = number
        given.add(name)
        result.append(Input(item.image_id, name, item.sha256, item.path))
    return result


def _predict(
    workspace: Workspace,
    outcome: Predicted,
    inputs: Sequence[Input],
    embeddings: Path,
    offline: bool,
    tell: Callable[[Step], None],
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
    worker = control.launch(outcome.folder, job, table)
    for step in control.follow(outcome.folder, worker):
        tell(step)
    result = outcome.folder / RESULT
    outcome.refused += [
        Listed(inputs[row["row"]].name, row["reason"]) for row in pq.read_table(result / FAILURES).to_pylist()
    ]
    outcome.paths.update({item.sha256: item.path for item in inputs})

    def record(cursor: Cursor) -> int:
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
