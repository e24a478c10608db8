"""A training as a person asks for it: checked, started in a worker, followed, and taken in as a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.contracts.terms import Task
from fieldmark.core.contracts.trainer import Trainer
from fieldmark.core.jobs import control
from fieldmark.core.jobs.control import Cancelled, Left, Worker
from fieldmark.core.jobs.files import DATASET, RESULT, ModelFile, Step, TrainJob
from fieldmark.core.jobs.model_folder import PREDICTIONS, read_model_file
from fieldmark.core.kept_files import keep_files
from fieldmark.core.learning.decision import predicted_labels
from fieldmark.core.models import free_name
from fieldmark.core.options import stored_options
from fieldmark.core.pictures.staging import disk_reason
from fieldmark.core.registry import Registry
from fieldmark.storage import models, predictions, projects, runs
from fieldmark.storage.database import Cursor, now
from fieldmark.storage.errors import FieldmarkError
from fieldmark.storage.files import fsync_folder
from fieldmark.storage.labels import check_label
from fieldmark.storage.models import Checkpoint, CurvePoint, Model, Threshold
from fieldmark.storage.predictions import Prediction
from fieldmark.storage.projects import Project
from fieldmark.storage.runs import Run
from fieldmark.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from fieldmark.core.learning.dataset import Dataset

STORED_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the person chose; the defaults are what the app offers."""

    task: Task
    name: str | None = None
    trainer: str | None = None
    trainer_options: Sequence[str] | Mapping[str, Any] = ()
    backbone: str | None = None
    """None: the project's own."""
    backbone_options: Sequence[str] | Mapping[str, Any] = ()
    labels: tuple[str, ...] = ()
    """Empty: all that are in use."""
    minutes: float = 1.0
    validation: float | None = 0.2
    """Fraction of the images; None: the user-defined validation set."""
    offline: bool = False
    seed: int = 0
    images: tuple[int, ...] | None = None
    """Ids of the images to use; None: all of the project."""


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request that names what is there, with what it stands for."""

    name: str
    trainer_name: str
    trainer: Trainer[Any]
    backbone_name: str
    backbone: Backbone[Any]
    """Not loaded."""
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """A training that runs."""

    run: Run
    worker: Worker
    dataset: Dataset
    notes: tuple[str, ...] = field(default=())


def start_training(
    workspace: Workspace,
    registry: Registry,
    project: Project,
    request: TrainRequest,
    *,
    outlives_starter: bool = False,
) -> Training:
    """Check a request and start its worker; raises `FieldmarkError` before anything is written.

    `outlives_starter`: the worker goes on when this process ends, for the next one to take its result in.
    """
    from fieldmark.core.learning.dataset import gather

    checked = check_request(workspace, registry, project, request)
    dataset = gather(
        workspace, project, request.task, checked.labels, request.validation, request.seed, request.images
    )
    job = TrainJob(
        images=workspace.image_folder,
        embeddings=workspace.embeddings,
        weights=workspace.weights,
        offline=request.offline,
        stop_with=None if outlives_starter else os.getpid(),
        task=request.task,
        labels=list(dataset.labels),
        trainer=checked.trainer_name,
        trainer_options=stored_options(checked.trainer.options),
        backbone=checked.backbone_name,
        backbone_options=dict(keep_files(workspace, checked.backbone.options)),
        seconds=request.minutes * 60,
        seed=request.seed,
    )
    run = _start_run(workspace, project, request, checked.name)
    try:
        worker = control.launch(workspace.run_folder(run.id), job, dataset.table)
    except BaseException as error:
        reason = (
            f"the training could not start: {disk_reason(error)}"
            if isinstance(error, OSError)
            else str(error)
        )
        _record_end(workspace, run, "failed", reason)
        shutil.rmtree(workspace.run_folder(run.id), ignore_errors=True)
        if isinstance(error, OSError):
            raise FieldmarkError(reason) from error
        raise
    return Training(run, worker, dataset, dataset.notes)


def _start_run(workspace: Workspace, project: Project, request: TrainRequest, name: str) -> Run:
    """Record the run; a name that somebody took since it was found free is found again, or refused."""
    while True:
        try:
            return runs.start_run(workspace.database, project.id, "train", name)
        except runs.NameTaken:
            name = free_name(workspace, project, request.task, request.name)


def check_request(
    workspace: Workspace, registry: Registry, project: Project, request: TrainRequest
) -> CheckedRequest:
    """Check all of a request but its images, loading nothing; raises `FieldmarkError` for what can't be done."""
    if not 0 < request.minutes <= 24 * 60:
        raise FieldmarkError(f"{request.minutes:g} minutes can't be used: give more than 0 and at most 1440")
    if request.validation is not None and not 0 <= request.validation <= 0.9:
        raise FieldmarkError(
            f"{request.validation:.0%} for validation can't be used: give 0 to 90, or 'user-defined'"
        )
    trainer_name = request.trainer or trainer_for(registry, request.task)
    trainer = registry.trainer(trainer_name, request.trainer_options)
    if request.task not in trainer.tasks:
        raise FieldmarkError(
            f"the trainer {trainer_name!r} does {', '.join(sorted(trainer.tasks))}, not {request.task}"
        )
    backbone_name, options = _backbone(project, request)
    backbone = registry.backbone(backbone_name, options)
    name = free_name(workspace, project, request.task, request.name)
    labels = tuple(check_label(label) for label in request.labels)
    return CheckedRequest(name, trainer_name, trainer, backbone_name, backbone, labels)


def finish_training(
    workspace: Workspace,
    run: Run,
    worker: Worker,
    tell: Callable[[Step], None] = lambda step: None,
    cancelled: Callable[[], bool] = lambda: False,
    leaving: Callable[[], bool] = lambda: False,
) -> Model:
    """Follow a training to its end, take its model in, and make its backbone the project's current one.

    Raises `FieldmarkError` when it failed or was cancelled; the run is recorded either way. Raises `Left` once
    `leaving` is true: the worker goes on, and the run is settled by the next process.
    """
    folder = workspace.run_folder(run.id)
    try:
        for step in control.follow(folder, worker, cancelled, leaving):
            tell(step)
    except Left:
        raise
    except FieldmarkError as error:
        cancelled_by_person = isinstance(error, Cancelled)
        _record_end(
            workspace,
            run,
            "cancelled" if cancelled_by_person else "failed",
            None if cancelled_by_person else str(error),
        )
        raise
    except Exception as error:
        _record_end(workspace, run, "failed", f"{type(error).__name__}: {error}")
        raise
    except BaseException:
        _record_end(workspace, run, "cancelled", None)
        raise
    return take_in(workspace, run)


def _record_end(workspace: Workspace, run: Run, status: runs.RunStatus, message: str | None) -> None:
    workspace.database.write(lambda cursor: runs.finish_run(cursor, run.id, status, message))


def take_in(workspace: Workspace, run: Run) -> Model:
    """Move a finished result into place and record it in one transaction; safe to repeat after a crash."""
    import pyarrow.parquet as pq

    assert run.model_id is not None
    folder = workspace.model_folder(run.model_id)
    result = workspace.run_folder(run.id) / RESULT
    if result.exists():
        shutil.rmtree(folder, ignore_errors=True)
        result.replace(folder)
        fsync_folder(workspace.models)
    saved = read_model_file(folder)
    model = _model(run, saved)
    columns = ["image_id", "name", "sha256", "split", "labels"]
    dataset = pq.read_table(workspace.run_folder(run.id) / DATASET, columns=columns)

    def record(cursor: Cursor) -> None:
        models.add_model(
            cursor,
            model,
            [Checkpoint(name, int(at["step"]), at["seconds"]) for name, at in saved.checkpoints.items()],
            _curve(saved),
            [
                Threshold(checkpoint, label, value, "trainer")
                for checkpoint, values in saved.thresholds.items()
                for label, value in values.items()
            ],
            {
                (checkpoint, split): report.model_dump_json()
                for checkpoint, splits in saved.evaluations.items()
                for split, report in splits.items()
            },
        )
        for stored in _predictions(run, saved, folder / PREDICTIONS, dataset):
            predictions.add_predictions(cursor, stored)
        runs.finish_run(cursor, run.id, "finished")

    workspace.database.write(record)
    projects.set_backbone(workspace.database, run.project_id, model.backbone, model.backbone_options)
    shutil.rmtree(workspace.run_folder(run.id), ignore_errors=True)
    return model


def train(
    workspace: Workspace,
    registry: Registry,
    project: Project,
    request: TrainRequest,
    tell: Callable[[Step], None] = lambda step: None,
) -> tuple[Model, Training]:
    """Start a training and follow it to its end."""
    training = start_training(workspace, registry, project, request)
    return finish_training(workspace, training.run, training.worker, tell), training


def trainer_for(registry: Registry, task: Task) -> str:
    """Return the name of the trainer that does a task unless another is asked for.

    Raises `FieldmarkError` when none is installed.
    """
    able = [plugin.name for plugin in registry.of_kind("trainer") if task in getattr(plugin.cls, "tasks", ())]
    if not able:
        raise FieldmarkError(f"no trainer here does {task}: 'fieldmark plugins' lists what is installed")
    return task if task in able else able[0]


def _backbone(project: Project, request: TrainRequest) -> tuple[str, Sequence[str] | Mapping[str, Any]]:
    if request.backbone is None and not request.backbone_options:
        return project.backbone, project.backbone_options
    return request.backbone or project.backbone, request.backbone_options


def _model(run: Run, saved: ModelFile) -> Model:
    assert run.model_id is not None
    return Model(
        id=run.model_id,
        project_id=run.project_id,
        run_id=run.id,
        name=run.name,
        task=saved.task,
        trainer=saved.trainer,
        trainer_options=saved.trainer_options,
        trainer_distribution=saved.trainer_distribution,
        trainer_version=saved.trainer_version,
        backbone=saved.backbone,
        backbone_options=saved.backbone_options,
        backbone_distribution=saved.backbone_distribution,
        fingerprint=saved.fingerprint,
        labels=tuple(saved.labels),
        train_seconds=saved.train_seconds,
        embed_seconds=saved.embed_seconds,
        ended=saved.ended,
        notes=tuple(saved.notes),
        created=now(),
    )


def _curve(saved: ModelFile) -> list[CurvePoint]:
    return [
        CurvePoint(point.step, point.seconds, split, figures.accuracy, figures.cross_entropy)
        for point in saved.curve
        for split, figures in (("train", point.train), ("validation", point.validation))
        if figures is not None
    ]


def _predictions(run: Run, saved: ModelFile, path: Path, dataset: pa.Table) -> Iterator[list[Prediction]]:
    """Yield what both checkpoints said, some thousand rows at a time: a million images never lie in memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=STORED_AT_ONCE):
            seen = dataset.take(batch.column("row")).to_pylist()
            yield [
                _prediction(run, saved, row, image)
                for row, image in zip(batch.to_pylist(), seen, strict=True)
            ]


def _prediction(run: Run, saved: ModelFile, row: Mapping[str, Any], image: Mapping[str, Any]) -> Prediction:
    assert run.model_id is not None
    return Prediction(
        run_id=run.id,
        model_id=run.model_id,
        checkpoint=row["checkpoint"],
        image_id=image["image_id"],
        image_name=image["name"],
        sha256=image["sha256"],
        split=image["split"],
        truth=tuple(saved.labels[position] for position in image["labels"]),
        predicted=predicted_labels(
            saved.task, saved.labels, row["scores"], saved.thresholds[row["checkpoint"]]
        ),
        logits=tuple(row["logits"]),
        scores=tuple(row["scores"]),
    )
