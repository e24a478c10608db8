"""A softmax head on embeddings: multinomial logistic regression by gradient descent, in numpy alone.

Embeddings are divided by their Euclidean length, then standardised; the descent works on those, and `Scaling.fold`
turns its result into one affine map of the embeddings divided by their length.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FULL_BATCH = 2_048
"""Rows up to which each step looks at all of them; larger sets are seen in shuffled batches of this size."""
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
DEFAULT_STRENGTH = 0.1
_FOLDS = 5
_SEARCH_STEPS = 30
_NOISY_MOMENTUM = 0.9
_SHORTEST = 1e-12
_SMALL_GAP = 1e-4
"""Converged: the objective is at most this many nats above its minimum, by its strong convexity."""
_SMALL_GRADIENT = 1e-4
"""Converged where there is no penalty: the gradient's length, against the longest met on the way."""
_STEP_SECONDS = 2.5e-7
_SEARCH_SECONDS = 6e-5
"""For each image and label: one step of the descent, and the whole search for a strength, both measured with embeddings
of about 1,000 numbers on two cores of a server's processor."""


def lengths(embeddings: Floats) -> Floats:
    """Return the Euclidean length of each row, [n, 1], never 0."""
    squares = np.einsum("ij,ij->i", embeddings, embeddings)
    found: Floats = np.maximum(np.sqrt(squares), np.float32(_SHORTEST))[:, None]
    return found


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of length-normalised embeddings, each [dim]."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, embeddings: Floats) -> Scaling:
        """Measure all rows, in blocks so that no second copy of a large set is made."""
        total = np.zeros(embeddings.shape[1])
        squares = np.zeros(embeddings.shape[1])
        for start in range(0, len(embeddings), FULL_BATCH):
            block = embeddings[start : start + FULL_BATCH]
            unit = (block / lengths(block)).astype(np.float64)
            total += unit.sum(axis=0)
            squares += (unit**2).sum(axis=0)
        mean = total / len(embeddings)
        variance = np.maximum(squares / len(embeddings) - mean**2, 0.0)
        # A feature that hardly ever moves must not be blown up into noise, hence the floor.
        floor = 0.1 * float(np.sqrt(variance.mean()))
        deviation = np.maximum(np.sqrt(variance), floor if floor > 1e-7 else 1.0)
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def apply(self, embeddings: Floats) -> Floats:
        """Return the rows as the descent sees them."""
        scaled: Floats = (embeddings / lengths(embeddings) - self.mean) / self.deviation
        return scaled

    def fold(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Return weight [dim, labels] and bias [labels] for length-normalised embeddings."""
        weight = parameters[:-1] / self.deviation[:, None]
        bias = parameters[-1] - self.mean @ weight
        return weight.astype(np.float32), bias.astype(np.float32)


def log_scores(logits: Floats) -> Floats:
    """Return the logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def gradient(
    parameters: Floats, inputs: Floats, targets: Floats, row_weights: Floats, strength: float
) -> Floats:
    """Return the gradient of the weighted mean cross-entropy + strength / 2 · ‖weights‖², like `parameters`.

    `parameters` is [dim + 1, labels], the bias last and free of the penalty; `inputs` [n, dim]; `targets`
    [n, labels], rows summing to 1; `row_weights` [n].
    """
    error: Floats = np.exp(log_scores(inputs @ parameters[:-1] + parameters[-1])) - targets
    error *= (row_weights / len(inputs))[:, None]
    slope = np.empty_like(parameters)
    np.matmul(inputs.T, error, out=slope[:-1])
    slope[:-1] += np.float32(strength) * parameters[:-1]
    slope[-1] = error.sum(axis=0)
    return slope


def smoothness(inputs: Floats, row_weights: Floats) -> float:
    """Return a bound of the cross-entropy's curvature: half the largest eigenvalue of the weighted covariance.

    Gradient descent on the cross-entropy with steps up to its inverse never overshoots.
    """
    direction: Floats = np.random.default_rng(0).standard_normal(int(inputs.shape[1]), np.float32)
    shares: Floats = row_weights / np.float32(len(inputs))
    largest = 1.0
    for _ in range(20):
        direction = direction / np.float32(max(float(np.linalg.norm(direction)), _SHORTEST))
        direction = inputs.T @ ((inputs @ direction) * shares)
        largest = float(np.linalg.norm(direction))
    # The bias is a feature of constant 1; power iteration comes near the largest eigenvalue from below.
    return 0.5 * max(1.1 * largest, 1.0)


class Nesterov:
    """Accelerated gradient descent from zero, its momentum restarted whenever it points uphill.

    The gradient is to be taken at `ahead`; `at` are the parameters reached. `learning_rate` is in units of the
    longest step that is sure to descend.
    """

    def __init__(self, shape: tuple[int, ...], learning_rate: float, curvature: float) -> None:
        self.at: Floats = np.zeros(shape, dtype=np.float32)
        self.ahead: Floats = self.at
        self._flatness = learning_rate / curvature
        self._inertia = 1.0

    def restart(self) -> None:
        """Forget the momentum, as when the objective changes."""
        self.ahead, self._inertia = self.at, 1.0

    def step(self, slope: Floats, strength: float) -> None:
        """Move against a gradient of all rows; `strength` is that of the penalty in it."""
        rate = self._rate(strength)
        reached: Floats = self.ahead - np.float32(rate) * slope
        if float(np.vdot(slope, reached - self.at)) > 0.0:
            self._inertia = 1.0
        grown = 0.5 * (1.0 + float(np.sqrt(1.0 + 4.0 * self._inertia**2)))
        slowness = float(np.sqrt(strength * rate))
        momentum = min((self._inertia - 1.0) / grown, (1.0 - slowness) / (1.0 + slowness))
        self.ahead = reached + np.float32(momentum) * (reached - self.at)
        self.at, self._inertia = reached, grown

    def noisy_step(self, slope: Floats, strength: float, progress: float) -> None:
        """Move against a gradient of some rows; steps shrink by a half cosine as `progress` goes from 0 to 1."""
        rate = self._rate(strength) * 0.5 * (1.0 + float(np.cos(np.pi * min(progress, 1.0))))
        reached: Floats = self.ahead - np.float32(rate) * slope
        self.ahead = reached + np.float32(_NOISY_MOMENTUM) * (reached - self.at)
        self.at = reached

    def _rate(self, strength: float) -> float:
        return 1.0 / (1.0 / self._flatness + strength)


def at_rest(steepness: float, steepest: float, strength: float) -> bool:
    """Return whether a descent has converged, by the length of its gradient and of the longest on the way."""
    if strength == 0.0:
        return steepness <= _SMALL_GRADIENT * steepest
    return steepness**2 / (2.0 * strength) <= _SMALL_GAP


def step_seconds(images: int, labels: int) -> float:
    """Return about how long one step of the descent takes on an ordinary machine."""
    return _STEP_SECONDS * min(images, FULL_BATCH) * labels


def search_seconds(images: int, labels: int) -> float:
    """Return about how long `choose_strength` takes for so many rows on an ordinary machine."""
    return _SEARCH_SECONDS * images * labels


def spread(answers: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return up to `most` rows in order, the labels in their proportions but five of each where there are."""
    if len(answers) <= most:
        return np.arange(len(answers))
    shuffled = rng.permutation(len(answers))
    order = shuffled[np.argsort(answers[shuffled], kind="stable")]
    counts = np.bincount(answers)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - starts[answers[order]]
    urgency = np.where(place < 5, -1.0, (place + 0.5) / counts[answers[order]])
    return np.sort(order[np.argsort(urgency, kind="stable")[:most]])


def deal(labels: NDArray[np.intp], groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each row, 0 to 4, with groups whole and labels spread; -1: never held out.

    A label that one group alone shows stays in every training part, because without it nothing is learnt.
    """
    _, first, group_of_row = np.unique(groups, return_index=True, return_inverse=True)
    label_of_group = labels[first]
    fold = np.full(len(first), -1, dtype=np.intp)
    offset = 0
    for label in np.unique(labels):
        carriers = np.unique(group_of_row[labels == label])
        if len(carriers) < 2:
            fold[carriers] = -2
            continue
        own = rng.permutation(np.flatnonzero(label_of_group == label))
        fold[own] = np.where(fold[own] == -2, -2, (np.arange(len(own)) + offset) % _FOLDS)
        offset += len(own)
    dealt: NDArray[np.intp] = np.maximum(fold[group_of_row], -1)
    return dealt


def choose_strength(
    inputs: Floats,
    targets: Floats,
    row_weights: Floats,
    fold: NDArray[np.intp],
    *,
    out_of_time: Callable[[], bool],
) -> Generator[float, None, float | None]:
    """Yield the share done, 0 to 1, and return the strength that does best on held-out rows.

    Best is the lowest cross-entropy among those whose accuracy lies within one standard error of the highest:
    cross-entropy alone would take a weak penalty for the confidence it lends, accuracy alone is coarse.
    All folds descend side by side, one matrix product for all, from strong to weak, each strength starting where
    the last one ended; the search ends when two strengths in a row brought nothing, or when it is out of time.
    None: nothing could be held out, or there was no time for even one strength.
    """
    present = np.unique(fold[fold >= 0])
    if len(present) < 2:
        return None
    held = fold[None, :] == present[:, None]
    kept = np.where(held, 0.0, row_weights).astype(np.float32)
    kept /= kept.mean(axis=1, keepdims=True)
    shape = inputs.shape[1] + 1, len(present), targets.shape[1]
    descent = Nesterov(shape, 1.0, smoothness(inputs, row_weights) * float(kept.max() / row_weights.max()))
    found: list[tuple[float, float, float]] = []
    for place, strength in enumerate(STRENGTHS):
        descent.restart()
        for step in range(_SEARCH_STEPS):
            slope = _fold_gradients(descent.ahead, inputs, targets, kept, strength)
            descent.step(slope, strength)
            if out_of_time():
                return _best(found, held)
            yield (place + step / _SEARCH_STEPS) / len(STRENGTHS)
        found.append((strength, *_held_out(_fold_logits(descent.at, inputs), targets, row_weights, held)))
        if len(found) > 2 and _best(found, held) not in (found[-1][0], found[-2][0]):
            break
    return _best(found, held)


def _held_out(
    logits: Floats, targets: Floats, row_weights: Floats, held: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return cross-entropy and accuracy, each row judged by the fold that did not learn from it."""
    entropy = -(targets[:, None, :] * log_scores(logits)).sum(axis=2).T[held]
    right = (logits.argmax(axis=2) == targets.argmax(axis=1)[:, None]).T[held]
    weights = np.broadcast_to(row_weights, held.shape)[held]
    return float(np.average(entropy, weights=weights)), float(np.average(right, weights=weights))


def _best(found: list[tuple[float, float, float]], held: NDArray[np.bool_]) -> float | None:
    if not found:
        return None
    top = max(accuracy for _, _, accuracy in found)
    error = np.sqrt(top * (1.0 - top) / held.sum())
    near = [(entropy, strength) for strength, entropy, accuracy in found if accuracy >= top - error]
    return min(near)[1]


def _fold_logits(parameters: Floats, inputs: Floats) -> Floats:
    wide = parameters.reshape(len(parameters), -1)
    logits: Floats = inputs @ wide[:-1] + wide[-1]
    return logits.reshape(len(inputs), *parameters.shape[1:])


def _fold_gradients(
    parameters: Floats, inputs: Floats, targets: Floats, kept: Floats, strength: float
) -> Floats:
    error = np.exp(log_scores(_fold_logits(parameters, inputs))) - targets[:, None, :]
    error *= (kept.T / len(inputs))[:, :, None]
    slope = np.empty_like(parameters)
    np.matmul(inputs.T, error.reshape(len(inputs), -1), out=slope.reshape(len(slope), -1)[:-1])
    slope[:-1] += np.float32(strength) * parameters[:-1]
    slope[-1] = error.sum(axis=0)
    return slope
