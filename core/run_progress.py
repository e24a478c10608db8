"""How far a run is, in figures that a page can show: percent, seconds left, the curve as it grows."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fieldmark.core.jobs.files import Stage, Step
from fieldmark.storage.models import CurvePoint
from fieldmark.storage.runs import Run, RunKind, RunStatus

STAGE_WORDS: dict[Stage, str] = {
    "check": "Checking images",
    "start": "Starting",
    "fetch": "Fetching weights",
    "embed": "Embedding images",
    "train": "Training",
    "evaluate": "Evaluating",
    "predict": "Predicting",
    "save": "Saving",
}
_ORDER: dict[RunKind, tuple[Stage, ...]] = {
    "train": ("start", "fetch", "embed", "train", "evaluate", "save"),
    "predict": ("check", "start", "fetch", "embed", "predict", "save"),
    "upload": ("check",),
}
_GUESSED_SECONDS: dict[Stage, float] = {
    "check": 2, "start": 4, "fetch": 0, "embed": 10, "train": 4, "evaluate": 1, "predict": 2, "save": 0.5,
}  # fmt: skip
"""What a stage that has not begun is taken to need; each is replaced by what is measured."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as a page shows it."""

    id: int
    project_id: int
    kind: RunKind
    name: str
    status: RunStatus
    percent: float | None
    """0..100 of the whole run; None when it can't be told."""
    seconds_left: float | None
    seconds: float
    """Since it was started."""
    stage: Stage | None
    sentence: str
    """What it does now, or how it ended."""
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...]

    @property
    def active(self) -> bool:
        """Whether it is still at work."""
        return self.status == "running"


@dataclass(slots=True)
class RunProgress:
    """Takes the steps of one run in; every method may be called from any thread."""

    run: Run
    train_seconds: float | None = None
    notes: tuple[str, ...] = ()
    sentence: str = ""
    _step: Step | None = None
    _stage_since: float = 0.0
    _stage_began: float = 0.0
    """By the worker's clock: whoever follows a worker late gets all its steps at once."""
    _told: float = 0.0
    _curve: list[CurvePoint] = field(default_factory=list)
    _most: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.run.status != "running"

    def tell(self, step: Step) -> None:
        """Take one step in."""
        with self._lock:
            if self._step is None or self._step.stage != step.stage:
                self._stage_since, self._stage_began = time.monotonic(), step.seconds
            self._step, self._told = step, time.monotonic()
            if step.stage == "train" and step.train_accuracy is not None:
                self._curve.append(
                    CurvePoint(
                        step.done, step.seconds, "train", step.train_accuracy, step.train_cross_entropy
                    )
                )
                if step.validation_accuracy is not None:
                    figures = step.validation_accuracy, step.validation_cross_entropy
                    self._curve.append(CurvePoint(step.done, step.seconds, "validation", *figures))

    def settle(self, run: Run | None) -> None:
        """Take in how the run was recorded in the end."""
        with self._lock:
            if run is not None:
                self.run = run

    def view(self) -> RunView:
        """Return what a page shows now."""
        with self._lock:
            run, step = self.run, self._step
            started = run.created.replace(tzinfo=UTC)
            until = run.finished.replace(tzinfo=UTC) if run.finished else datetime.now(UTC)
            percent, left = self._measure(step) if run.status == "running" else (None, None)
            return RunView(
                run.id, run.project_id, run.kind, run.name, run.status, percent, left,
                (until - started).total_seconds(), step.stage if step else None, self._sentence(step),
                tuple(self._curve), self.notes,
            )  # fmt: skip

    def _sentence(self, step: Step | None) -> str:
        if self.run.status != "running":
            return self.run.message or self.sentence or self.run.status
        if step is None:
            return "Starting"
        word = STAGE_WORDS[step.stage]
        if step.stage == "train":
            return step.message or word
        return f"{word}: {step.done:,} of {step.total:,}" if step.total else word

    def _measure(self, step: Step | None) -> tuple[float | None, float | None]:
        """Return percent and seconds left; the percentage never goes back."""
        order = _ORDER[self.run.kind]
        stage = step.stage if step and step.stage in order else order[0]
        in_stage = self._in_stage(step) if step else 0.0
        left = self._left_in_stage(stage, step, in_stage)
        if left is None or stage == "start":  # how long a process takes to start says nothing about the rest
            return (self._most or None), None
        left += sum(self._guess(later) for later in order[order.index(stage) + 1 :])
        done = (datetime.now(UTC) - self.run.created.replace(tzinfo=UTC)).total_seconds()
        self._most = max(self._most, min(99.0, 100 * done / max(done + left, 0.1)))
        return self._most, left

    def _in_stage(self, step: Step) -> float:
        if step.seconds:
            return step.seconds - self._stage_began + time.monotonic() - self._told
        return time.monotonic() - self._stage_since

    def _left_in_stage(self, stage: Stage, step: Step | None, in_stage: float) -> float | None:
        if step is not None and step.total and step.done:
            share = min(1.0, step.done / step.total)
            left = in_stage / share - in_stage
            return (
                min(left, max(0.0, self.train_seconds - in_stage))
                if stage == "train" and self.train_seconds
                else left
            )
        if stage == "check" and (step is None or not step.total):
            return None
        return max(0.0, self._guess(stage) - in_stage)

    def _guess(self, stage: Stage) -> float:
        guess = _GUESSED_SECONDS[stage]
        return min(guess, self.train_seconds) if stage == "train" and self.train_seconds else guess
