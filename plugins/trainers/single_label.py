"""The default trainer for one label per image: a softmax head on embeddings."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fieldmark import Classifier, Examples, Options, PluginError, Progress, Trainer, TrainingSet, hookimpl
from fieldmark.plugins.trainers import softmax_head as head

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_SEARCH_ROWS = 2_000
_CURVE_POINTS = 60
_DENSE_STEPS = 20
_PASSES_OVER_BIG_SETS = 10
_STEPS = 200
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
_SPARE = 0.9
"""Share of the time that is planned with; the rest is for the unforeseen."""
_SEARCH_SHARE = 0.25
_TENSORS, _FACTS = "head.safetensors", "head.json"


class SingleLabelOptions(Options):
    """How the head is learnt."""

    learning_rate: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Step size; 1 is the longest that is sure to descend, higher is faster but may overshoot",
    )
    balance: bool = Field(
        default=False, description="Give rare labels as much weight as frequent ones (inverse frequency)"
    )
    l2: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Strength of the L2 penalty; empty: chosen by 5-fold cross-validation on the training images",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Most steps of the descent; empty: 200, or ten passes over more than 40,000 images",
    )


class SoftmaxClassifier(Classifier):
    """One affine map of embeddings that were divided by their length."""

    def __init__(self, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self.weight = weight
        """float32 [dim, labels]."""
        self.bias = bias
        """float32 [labels]."""

    def logits(self, inputs: NDArray[np.float32] | Sequence[Image]) -> NDArray[np.float32]:
        """Return float32 [n, labels]; raises `PluginError` for embeddings of another length."""
        rows = np.asarray(inputs, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.weight):
            raise PluginError(
                f"This model reads embeddings of {len(self.weight)} numbers, not {rows.shape[1:]}; "
                "use the backbone it was trained with."
            )
        logits: NDArray[np.float32] = rows @ self.weight / head.lengths(rows) + self.bias
        return logits

    def save(self, folder: Path) -> None:
        """Write head.safetensors and head.json."""
        from safetensors.numpy import save

        facts = {"format": 1, "dim": self.weight.shape[0], "labels": self.weight.shape[1]}
        _write(folder / _TENSORS, save({"weight": self.weight, "bias": self.bias}))
        _write(folder / _FACTS, json.dumps(facts).encode())

    def module(self) -> torch.nn.Module:
        """Return the same as a torch module."""
        import torch

        class Head(torch.nn.Module):
            def __init__(self, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(*weight.shape)
                self.linear.weight = torch.nn.Parameter(
                    torch.from_numpy(weight.T.copy()), requires_grad=False
                )
                self.linear.bias = torch.nn.Parameter(torch.from_numpy(bias.copy()), requires_grad=False)

            def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
                unit = torch.nn.functional.normalize(embeddings, dim=1)
                logits: torch.Tensor = self.linear(unit)
                return logits

        return Head(self.weight, self.bias).eval()


class SingleLabel(Trainer[SingleLabelOptions]):
    """Multinomial logistic regression by gradient descent; its penalty is chosen by cross-validation."""

    name = "single-label"
    summary = "One label per image: a softmax head on the embeddings, learnt in seconds"
    tasks = frozenset({"single-label"})
    wants = "embeddings"

    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        """Yield 30 to 100 classifiers on the way; same data, seed and enough time give the same classifier.

        Raises `PluginError` for fewer than two labels, a label without a training image, or unusable embeddings.
        """
        started = time.monotonic()
        problem = _Problem.of(data, self.options.balance)
        strength, origin = self.options.l2, "as set"
        if strength is None:
            strength = yield from self._search(problem, data, started)
            origin = "chosen by cross-validation on the training images"
        if strength is None:
            strength = head.DEFAULT_STRENGTH
            origin = "the default: too few images or too little time to choose one"
        return (
            yield from self._descend(
                problem, data, strength, f"L2 penalty {strength:.2g}, {origin}.", started
            )
        )

    def _search(
        self, problem: _Problem, data: TrainingSet, started: float
    ) -> Generator[Progress, Any, float | None]:
        rng = np.random.default_rng(data.seed)
        rows = head.spread(problem.answers, _SEARCH_ROWS, rng)
        search = head.choose_strength(
            problem.scaling.apply(problem.embeddings[rows]),
            problem.targets(rows),
            problem.row_weights[rows],
            head.deal(problem.answers[rows], data.train.groups[rows], rng),
            out_of_time=lambda: time.monotonic() - started > _SEARCH_SHARE * data.seconds,
        )
        told = time.monotonic()
        planned = self._planned_steps(len(problem.answers))
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
        self, problem: _Problem, data: TrainingSet, strength: float, origin: str, started: float
    ) -> Generator[Progress, Any, Classifier]:
        plan = _Plan(self._planned_steps(len(problem.answers)), _SPARE * data.seconds, started)
        watch = _Watch(data, plan.steps)
        batches = problem.batches(np.random.default_rng(data.seed))
        batch = next(batches)
        shape = problem.embeddings.shape[1] + 1, len(data.labels)
        descent = head.Nesterov(shape, self.options.learning_rate, head.smoothness(batch[0], batch[2]))
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

    def planned_steps(self, images: int, labels: int, seconds: float) -> int:
        """Return 200, ten passes over many images or the steps asked for, or fewer if only those fit into the time."""
        search = min(self._search_seconds(images, labels), _SEARCH_SHARE * seconds)
        fit = int((_SPARE * seconds - search) / head.step_seconds(images, labels))
        return max(1, min(self._planned_steps(images), fit))

    def planned_seconds(self, images: int, labels: int) -> float:
        """Return the time of the search for a penalty and of all steps."""
        steps = self._planned_steps(images)
        return self._search_seconds(images, labels) + steps * head.step_seconds(images, labels)

    def _search_seconds(self, images: int, labels: int) -> float:
        return 0.0 if self.options.l2 is not None else head.search_seconds(min(images, _SEARCH_ROWS), labels)

    def _planned_steps(self, images: int) -> int:
        big = -(-_PASSES_OVER_BIG_SETS * images // head.FULL_BATCH)
        return self.options.steps or max(_STEPS, big if images > head.FULL_BATCH else 0)

    @classmethod
    def restore(cls, folder: Path) -> SoftmaxClassifier:
        """Read what `save` wrote; raises `PluginError` that names a damaged file."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            facts = json.loads((folder / _FACTS).read_text("utf-8"))
            shape = int(facts["dim"]), int(facts["labels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PluginError(
                f"{_FACTS} of this model can't be read; train it again or restore it."
            ) from error
        try:
            tensors = load_file(folder / _TENSORS)
        except (OSError, SafetensorError, ValueError) as error:
            raise PluginError(
                f"{_TENSORS} of this model can't be read; train it again or restore it."
            ) from error
        found = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
        if found != {"weight": (shape, "float32"), "bias": (shape[1:], "float32")} or not all(
            np.isfinite(tensor).all() for tensor in tensors.values()
        ):
            raise PluginError(f"{_TENSORS} of this model is damaged; train it again or restore it.")
        return SoftmaxClassifier(tensors["weight"], tensors["bias"])


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


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@hookimpl
def register_trainers() -> list[type[SingleLabel]]:
    """Offer the trainer."""
    return [SingleLabel]
