"""Driving a trainer: keep its time, draw its learning curves, keep the best and the last classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fieldmark.core.contracts.terms import CheckpointName, Task
from fieldmark.core.contracts.trainer import Classifier, Examples, Progress, Trainer, TrainingSet
from fieldmark.core.learning import scores
from fieldmark.core.learning.report import CurvePoint, SplitFigures
from fieldmark.storage.errors import FieldmarkError

if TYPE_CHECKING:
    from PIL.Image import Image

TRAIN_ROWS = 5_000
VALIDATION_ROWS = 20_000
IMAGE_ROWS = 500
"""Most rows that the learning curves score at each step, drawn at random once; `IMAGE_ROWS` replaces both where
the trainer wants images, because each costs a pass through the network. Final figures use every row."""

Ended = Literal["converged", "finished", "time"]


class Cancelled(FieldmarkError):
    """The person stopped the training."""


class TrainingProgress(BaseModel):
    """What a person who watches is told at each step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    steps: int
    seconds: float
    message: str = ""
    point: CurvePoint | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A classifier as it was at one step."""

    name: CheckpointName
    step: int
    seconds: float
    classifier: Classifier


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left."""

    best: Checkpoint
    """Lowest cross-entropy on validation, or on train without validation images; the earliest of equals."""
    last: Checkpoint
    curve: tuple[CurvePoint, ...]
    seconds: float
    ended: Ended
    """`converged`: the trainer stopped before its planned steps; `finished`: after them; `time`: it was
    stopped when its time was over."""
    notes: tuple[str, ...]
    """Sentences for the person, the trainer's last message among them."""


def train(
    trainer: Trainer[Any],
    data: TrainingSet,
    *,
    report: Callable[[TrainingProgress], None],
    cancelled: Callable[[], bool],
) -> Trained:
    """Run `trainer` on `data` until it ends, its `data.seconds` are over or `cancelled()` says so.

    `report` is called at every step the trainer yields. The time and `cancelled` are looked at whenever the
    trainer yields.
    Raises `Cancelled` on cancelling, and `FieldmarkError` naming the trainer when it fails, answers with
    something else than finite logits [n, labels], or yields no classifier in its time.
    """
    run = _Run(trainer.name, _sample(data.task, data, trainer.wants), time.monotonic())
    steps = _start(trainer, data)
    try:
        ended = _follow(run, steps, data, report, cancelled)
    finally:
        untidy = _close(trainer.name, steps)
    if run.best is None or run.last is None:
        raise FieldmarkError(
            f"Trainer {trainer.name} had nothing to show when its {data.seconds:g} seconds were over; "
            "give it more time."
        )
    return Trained(
        best=run.best,
        last=run.last,
        curve=tuple(run.curve),
        seconds=run.elapsed(),
        ended=ended,
        notes=_notes(run, data, ended, untidy),
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """The rows that the curves score, fixed for one training."""

    task: Task
    train: Examples
    validation: Examples


@dataclass(slots=True)
class _Run:
    name: str
    scored: _Scored
    started: float
    curve: list[CurvePoint] = field(default_factory=list)
    best: Checkpoint | None = None
    last: Checkpoint | None = None
    lowest: float = float("inf")
    message: str = ""

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def score(self, step: int, classifier: Classifier) -> CurvePoint:
        seconds = self.elapsed()
        train = _figures(self.name, self.scored.task, classifier, self.scored.train)
        if train is None:
            raise FieldmarkError(f"Trainer {self.name} had no training images; label some and train again.")
        validation = _figures(self.name, self.scored.task, classifier, self.scored.validation)
        point = CurvePoint(step=step, seconds=seconds, train=train, validation=validation)
        self.curve.append(point)
        self.last = Checkpoint("last", step, seconds, classifier)
        judged = (validation or train).cross_entropy
        if judged < self.lowest:
            self.lowest = judged
            self.best = Checkpoint("best", step, seconds, classifier)
        return point


def _start(trainer: Trainer[Any], data: TrainingSet) -> Generator[Progress, Any, Classifier]:
    try:
        steps: Any = trainer.fit(data)
    except (Exception, SystemExit) as error:
        raise _failure(trainer.name, error) from error
    if not isinstance(steps, Generator):
        raise FieldmarkError(
            f"Trainer {trainer.name} does not yield its progress; ask its author to mend `fit`."
        )
    return steps


def _follow(
    run: _Run,
    steps: Generator[Progress, Any, Classifier],
    data: TrainingSet,
    report: Callable[[TrainingProgress], None],
    cancelled: Callable[[], bool],
) -> Ended:
    step = planned = 0
    while True:
        if cancelled():
            raise Cancelled("The training was cancelled; nothing of it was kept.")
        try:
            progress = next(steps)
        except StopIteration as stop:
            _finish(run, step, stop.value)
            return "converged" if step < planned else "finished"
        except (Exception, SystemExit) as error:
            raise _failure(run.name, error) from error
        if not isinstance(progress, Progress):
            raise FieldmarkError(
                f"Trainer {run.name} yielded a {type(progress).__name__} instead of Progress; "
                "ask its author to mend `fit`."
            )
        step, planned, run.message = progress.step, progress.steps, progress.message
        point = None if progress.classifier is None else run.score(step, progress.classifier)
        report(
            TrainingProgress(
                step=step, steps=planned, seconds=run.elapsed(), message=progress.message, point=point
            )
        )
        if run.elapsed() >= data.seconds:
            return "time"


def _finish(run: _Run, step: int, classifier: Any) -> None:
    if not isinstance(classifier, Classifier):
        raise FieldmarkError(
            f"Trainer {run.name} returned a {type(classifier).__name__} instead of a Classifier; "
            "ask its author to mend `fit`."
        )
    if run.last is None or run.last.classifier is not classifier:
        run.score(step, classifier)


def _close(name: str, steps: Generator[Progress, Any, Classifier]) -> str | None:
    try:
        steps.close()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it costs nobody the classifier they have
        return str(_failure(name, error))
    return None


def _failure(name: str, error: BaseException) -> FieldmarkError:
    if isinstance(error, FieldmarkError):
        return error
    said = str(error) or "no reason given"
    return FieldmarkError(f"Trainer {name} failed with {type(error).__name__}: {said}")


def _notes(run: _Run, data: TrainingSet, ended: Ended, untidy: str | None) -> tuple[str, ...]:
    notes = [sentence for sentence in (run.message, untidy) if sentence]
    if ended == "time":
        notes.append(f"Stopped after its {data.seconds:g} seconds; the best classifier so far was kept.")
    if len(data.validation) == 0:
        notes.append(
            "There are no validation images: `best` is the step with the lowest cross-entropy on the training "
            "images."
        )
    return tuple(notes)


def _figures(name: str, task: Task, classifier: Classifier, examples: Examples) -> SplitFigures | None:
    if len(examples) == 0:
        return None
    try:
        logits: Any = classifier.logits(examples.inputs)
    except (Exception, SystemExit) as error:
        raise _failure(name, error) from error
    expected = examples.targets.shape
    if not isinstance(logits, np.ndarray) or logits.shape != expected or logits.dtype.kind != "f":
        shape = getattr(logits, "shape", type(logits).__name__)
        raise FieldmarkError(
            f"Trainer {name} made a classifier whose logits are {shape} instead of {expected}."
        )
    if not np.isfinite(logits).all():
        raise FieldmarkError(
            f"Trainer {name} made a classifier whose logits are not finite numbers; try a lower learning rate."
        )
    accuracy = scores.exact_accuracy(task, examples.targets, logits)
    entropy = scores.cross_entropy(task, examples.targets, logits)
    if accuracy is None or entropy is None:
        return None
    return SplitFigures(count=len(examples), accuracy=accuracy, cross_entropy=entropy)


def _sample(task: Task, data: TrainingSet, wants: str) -> _Scored:
    images = wants == "images"
    rng = np.random.default_rng(data.seed)
    return _Scored(
        task=task,
        train=_some(data.train, IMAGE_ROWS if images else TRAIN_ROWS, rng),
        validation=_some(data.validation, IMAGE_ROWS if images else VALIDATION_ROWS, rng),
    )


def _some(examples: Examples, most: int, rng: np.random.Generator) -> Examples:
    if len(examples) <= most:
        return examples
    rows = np.sort(rng.choice(len(examples), most, replace=False))
    inputs = examples.inputs
    return Examples(
        inputs=inputs[rows] if isinstance(inputs, np.ndarray) else _Rows(inputs, rows),
        targets=examples.targets[rows],
        groups=examples.groups[rows],
    )


class _Rows(Sequence["Image"]):
    """Some items of a sequence of images, opened only when they are asked for."""

    def __init__(self, images: Sequence[Image], rows: NDArray[np.intp]) -> None:
        self._images = images
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Rows(self._images, self._rows[index])
        return self._images[int(self._rows[index])]
