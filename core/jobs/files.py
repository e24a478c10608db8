"""What the server and the worker say to each other: files in `runs/<id>/`, nothing else.

`job.json` and `dataset.parquet` go in; `progress.jsonl` grows; `result/` appears by one rename, or `error.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fieldmark.core.contracts.terms import CheckpointName, Split, Task
from fieldmark.core.learning.report import CurvePoint, Evaluation

JOB = "job.json"
DATASET = "dataset.parquet"
PROGRESS = "progress.jsonl"
ERROR = "error.json"
RESULT = "result"
LOCK = "worker.lock"
LOG = "worker.log"
PID = "worker.pid"
SCORES = "scores.parquet"
FAILURES = "failures.parquet"

Stage = Literal["check", "start", "fetch", "embed", "train", "evaluate", "predict", "save"]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainJob(_File):
    """One training. Paths are absolute; `seconds` bound the training, not the embedding."""

    kind: Literal["train"] = "train"
    images: Path
    embeddings: Path
    weights: Path
    offline: bool
    stop_with: int | None
    """Process id: the worker stops when it is gone. None: it goes on alone."""
    task: Task
    labels: list[str]
    trainer: str
    trainer_options: dict[str, Any]
    backbone: str
    backbone_options: dict[str, Any]
    seconds: float
    seed: int = 0


class PredictJob(_File):
    """Predictions with one checkpoint. The dataset names a path for each image."""

    kind: Literal["predict"] = "predict"
    embeddings: Path
    weights: Path
    offline: bool
    stop_with: int | None
    model: Path
    checkpoint: CheckpointName


class Step(_File):
    """One line of `progress.jsonl`."""

    stage: Stage
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    """Since the worker started."""
    message: str = ""
    train_accuracy: float | None = None
    train_cross_entropy: float | None = None
    validation_accuracy: float | None = None
    validation_cross_entropy: float | None = None


class ModelFile(_File):
    """`model.json` of a model folder: all that is needed to use and to judge the model without the database."""

    format: Literal[1] = 1
    task: Task
    labels: list[str]
    trainer: str
    trainer_options: dict[str, Any]
    trainer_distribution: str
    trainer_version: str
    backbone: str
    backbone_options: dict[str, Any]
    backbone_distribution: str
    fingerprint: str
    dim: int
    thresholds: dict[CheckpointName, dict[str, float]]
    checkpoints: dict[CheckpointName, dict[str, float]]
    """`step` and `seconds` of each."""
    curve: list[CurvePoint]
    evaluations: dict[CheckpointName, dict[Split, Evaluation]]
    start_seconds: float
    embed_seconds: float
    embedded: int
    """Images whose embedding was computed, not read from the cache."""
    train_seconds: float
    ended: str
    notes: list[str]
    failures: list[dict[str, str]]
    sha256: dict[str, str]
    """{file in the model folder: its sha256}."""


def read_job(folder: Path) -> TrainJob | PredictJob | None:
    """Return the job of a run's folder, or None where none was written yet."""
    try:
        text = (folder / JOB).read_text("utf-8")
    except FileNotFoundError:
        return None
    kind = TrainJob if json.loads(text)["kind"] == "train" else PredictJob
    return kind.model_validate_json(text)


def append_step(folder: Path, step: Step) -> None:
    """Append one whole line in one write, so that a reader never sees a torn one."""
    line = (step.model_dump_json(exclude_none=True) + "\n").encode()
    handle = os.open(folder / PROGRESS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


class ProgressReader:
    """Follows `progress.jsonl` as it grows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PROGRESS
        self.offset = 0

    def fresh(self) -> Iterator[Step]:
        """Yield the steps written since the last call."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield Step.model_validate_json(line)


def read_error(folder: Path) -> str | None:
    """Return the sentence a worker left, or None."""
    path = folder / ERROR
    return str(json.loads(path.read_text("utf-8"))["error"]) if path.exists() else None
