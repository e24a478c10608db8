"""How a softmax head is learnt: a penalty by cross-validation, then a descent that keeps its time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark import Classifier, Examples, PluginError, Progress, TrainingSet
from fieldmark.plugins.trainers import softmax_head as head
from fieldmark.plugins.trainers.softmax_classifier import SoftmaxClassifier

SEARCH_ROWS = 2_000
SPARE = 0.9
"""Share of the time that is planned with; the rest is for the unforeseen."""
SEARCH_SHARE = 0.25
_CURVE_POINTS = 60
_DENSE_STEPS = 20
_WORSE = 1.1
"""How many times its lowest value the validation cross-entropy must reach before the descent gives up."""
_PATIENCE = 0.4
"""Share of the planned steps that the validation cross-entropy may go without a new low."""
_QUIET_SECONDS = 0.3
_FEW = 10
_COPIED_BYTES = 256 << 20
"""Embeddings up to this size are scaled once, as a whole; larger ones batch by batch."""
_MEASURED_STEPS = 3
"""Steps after which the pace is known."""
_WATCHED_ROWS = 5_000


@dataclass(frozen=True)
class Descent:
    """What is wanted of one training."""

    learning_rate: float
    balance: bool
    l2: float | None
    """None: chosen by cross-validation."""
    steps: int
    started: float
    """On the clock of `time.monotonic`."""


def learn(data: TrainingSet, wanted: Descent) -> Generator[Progress, Any, Classifier]:
    """Yield 30 to 100 classifiers on the way, and return the last.

    Raises `PluginError` for fewer than two labels, a label without a training image, or unusable embeddings.
    """
    problem = _Problem.of(data, wanted.balance)
    strength, origin = wanted.l2, "as set"
    if strength is None:
        strength = yield from _search(problem, data, wanted.steps, wanted.started)
        origin = "chosen by cross-validation on the training images"
    if strength is None:
        strength = head.DEFAULT_STRENGTH
        origin = "the default: too few images or too little time to choose one"
    return (yield from _descend(problem, data, wanted, strength, f"L2 penalty {strength:.2g}, {origin}."))


def _search(
    problem: _Problem, data: TrainingSet, planned: int, started: float
) -> Generator[Progress, Any, float | None]:
    rng = np.random.default_rng(data.seed)
    rows = head.spread(problem.answers, SEARCH_ROWS, rng)
    search = head.choose_strength(
        problem.scaling.apply(problem.embeddings[rows]),
        problem.targets(rows),
        problem.row_weights[rows],
        head.deal(problem.answers[rows], data.train.groups[rows], rng),
        out_of_time=lambda: time.monotonic() - started > SEARCH_SHARE * data.seconds,
    )
    told = time.monotonic()
    while True:
        try:
            done = next(search)
        except StopIteration as stop:
            chosen: float | None = stop.value
            # The more images, the weaker a penalty they need; the search saw only some of them.
            return chosen and chosen * (len(rows) / len(problem.answers)) ** 0.5
        if time.monotonic() - told > _QUIET_SECONDS:
            told = time.monotonic()
            yield Progress(0, planned, message=f"Choosing the L2 penalty: {done:.0%}")


def _descend(
    problem: _Problem,
    data: TrainingSet,
    wanted: Descent,
    strength: float,
    origin: str,
) -> Generator[Progress, Any, Classifier]:
    plan = _Plan(wanted.steps, SPARE * data.seconds, wanted.started)
    watch = _Watch(data, plan.steps)
    batches = problem.batches(np.random.default_rng(data.seed))
    batch = next(batches)
    shape = problem.embeddings.shape[1] + 1, len(data.labels)
    descent = head.Nesterov(shape, wanted.learning_rate, head.smoothness(batch[0], batch[2]))
    steepest, step, ending = 0.0, 0, ""
    told = time.monotonic()
    while not ending:
        slope = head.gradient(descent.ahead, *batch, strength)
        steepness = float(np.linalg.norm(slope))
        steepest = max(steepest, steepness)
        if problem.whole:
            descent.step(slope, strength)
        else:
            descent.noisy_step(slope, strength, step / plan.steps)
        step, batch = step + 1, next(batches)
        if problem.whole and head.at_rest(steepness, steepest, strength):
            ending = f"Converged after {step} of {plan.steps} steps."
        elif step >= plan.steps:
            ending = f"Took all {plan.steps} steps{plan.shortened}."
        if ending or plan.draws(step):
            classifier = SoftmaxClassifier(*problem.scaling.fold(descent.at))
            ending = ending or watch.gave_up(step, classifier)
            plan.fit_into_time(step)
            message = " ".join(filter(None, (ending, origin, problem.warning))) if ending else ""
            told = time.monotonic()
            yield Progress(step, plan.steps, classifier, message)
        elif time.monotonic() - told > _QUIET_SECONDS:
            plan.fit_into_time(step)
            told = time.monotonic()
            yield Progress(step, plan.steps)
    return classifier


@dataclass(frozen=True)
class _Problem:
    """The training images as the descent needs them."""

    embeddings: NDArray[np.float32]
    answers: NDArray[np.intp]
    """[n]: the place of each image's label."""
    label_count: int
    row_weights: NDArray[np.float32]
    """[n], positive, mean 1."""
    scaling: head.Scaling
    warning: str
    """A sentence about labels with few images, or nothing."""

    @classmethod
    def of(cls, data: TrainingSet, balance: bool) -> _Problem:
        embeddings, answers = _checked(data.labels, data.train)
        counts = np.bincount(answers, minlength=len(data.labels))
        weights = np.ones(len(answers))
        if balance:
            weights = len(answers) / (len(counts) * counts[answers])
        return cls(
            embeddings=embeddings,
            answers=answers,
            label_count=len(counts),
            row_weights=weights.astype(np.float32),
            scaling=head.Scaling.of(embeddings),
            warning=_warning(data.labels, counts),
        )

    @property
    def whole(self) -> bool:
        """Whether every step sees all images."""
        return len(self.answers) <= head.FULL_BATCH

    def targets(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return float32 [rows, labels] with one 1 in each row."""
        return np.eye(self.label_count, dtype=np.float32)[self.answers[rows]]

    def batches(
        self, rng: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
        """Yield inputs, targets and row weights for one step after the other, without end."""
        if self.whole:
            everything = np.arange(len(self.answers))
            batch = self.scaling.apply(self.embeddings), self.targets(everything), self.row_weights
            while True:
                yield batch
        ready = self.scaling.apply(self.embeddings) if self.embeddings.nbytes <= _COPIED_BYTES else None
        while True:
            order = rng.permutation(len(self.answers))
            for start in range(0, len(order) - head.FULL_BATCH + 1, head.FULL_BATCH):
                rows = np.sort(order[start : start + head.FULL_BATCH])
                inputs = self.scaling.apply(self.embeddings[rows]) if ready is None else ready[rows]
                yield inputs, self.targets(rows), self.row_weights[rows]


class _Plan:
    """How many steps there will be: as many as were asked for, or as fit into the time."""

    def __init__(self, steps: int, seconds: float, started: float) -> None:
        self.steps = self._wanted = steps
        self.shortened = ""
        self._deadline = started + seconds
        self._began = time.monotonic()

    def draws(self, step: int) -> bool:
        """Whether the curves get a point here: densely at first, where most happens."""
        return step <= _DENSE_STEPS or step % max(1, self.steps // _CURVE_POINTS) == 0

    def fit_into_time(self, step: int) -> None:
        """Plan as many steps as will end in time at the pace so far; a slow start is made up for later."""
        now = time.monotonic()
        left = (self._deadline - now) * step / max(now - self._began, 1e-9)
        if _MEASURED_STEPS <= step < self.steps:
            self.steps = min(self._wanted, step + max(1, int(left)))
            self.shortened = " that fit into the time" if self.steps < self._wanted else ""


class _Watch:
    """Looks at the validation images, only to give up early."""

    def __init__(self, data: TrainingSet, steps: int) -> None:
        rows = np.arange(len(data.validation))
        if len(rows) > _WATCHED_ROWS:
            rows = np.sort(np.random.default_rng(data.seed).permutation(rows)[:_WATCHED_ROWS])
        self._embeddings = np.asarray(data.validation.inputs, dtype=np.float32)[rows]
        self._targets = data.validation.targets[rows]
        self._patience = max(1, int(_PATIENCE * steps))
        self._lowest = np.inf
        self._lowest_at = 0

    def gave_up(self, step: int, classifier: SoftmaxClassifier) -> str:
        """Return a sentence when the validation images have got no better for long, else nothing."""
        if not len(self._targets):
            return ""
        missed = -(self._targets * head.log_scores(classifier.logits(self._embeddings))).sum(axis=1).mean()
        if missed < self._lowest:
            self._lowest, self._lowest_at = float(missed), step
        if step - self._lowest_at < self._patience or missed < _WORSE * self._lowest:
            return ""
        return (
            f"Stopped after {step} steps: the validation cross-entropy was lowest at step {self._lowest_at} "
            f"and is {missed / self._lowest - 1:.0%} higher now."
        )


def _checked(labels: Sequence[str], train: Examples) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    if len(labels) < 2:
        raise PluginError("Training needs at least two labels; add another label and images that carry it.")
    counts = train.targets.sum(axis=0)
    if bare := [label for label, count in zip(labels, counts, strict=True) if count == 0]:
        raise PluginError(
            f"No training image carries {_listed(bare)}; label some images, or leave these labels out."
        )
    if not (train.targets.sum(axis=1) == 1).all():
        raise PluginError("Trainer single-label needs exactly one label on each training image.")
    embeddings = np.asarray(train.inputs, dtype=np.float32)
    if not np.isfinite(embeddings.sum(axis=1)).all():
        raise PluginError("Some embeddings hold values that are not numbers; embed the images again.")
    return embeddings, train.targets.argmax(axis=1)


def _warning(labels: Sequence[str], counts: NDArray[np.intp]) -> str:
    few = [f"{label} ({count})" for label, count in zip(labels, counts, strict=True) if count < _FEW]
    return f"Fewer than {_FEW} training images: {_listed(few)}; expect unsteady answers." if few else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
