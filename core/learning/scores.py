"""From logits to scores, decisions and cross-entropy; the link depends on the task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fieldmark.core.contracts.terms import Task
from fieldmark.core.learning.decision import THRESHOLD


def scores(task: Task, logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scores in 0..1, [n, labels]: softmax for single-label, else sigmoid of each logit."""
    wide = np.asarray(logits, dtype=np.float64)
    if task == "single-label":
        return np.exp(_log_softmax(wide))
    return np.exp(-np.logaddexp(0.0, -wide))


def cross_entropy(task: Task, targets: NDArray[np.uint8], logits: NDArray[np.floating]) -> float | None:
    """Return the mean cross-entropy in nats, None for no rows; finite for any finite logits.

    Single-label: the mean of minus log score of the true label. Otherwise: the binary cross-entropy, averaged
    over images and labels.
    """
    wide = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(targets, dtype=np.float64)
    if wide.size == 0:
        return None
    if task == "single-label":
        return float(-(truth * _log_softmax(wide)).sum(axis=1).mean())
    return float((np.logaddexp(0.0, wide) - truth * wide).mean())


def decide(
    task: Task, logits: NDArray[np.floating], thresholds: Sequence[float] | None = None
) -> NDArray[np.bool_]:
    """Return which labels each image is given, bool [n, labels].

    Single-label: exactly the one with the highest score, the first of equals; thresholds play no part.
    Otherwise: every label whose score reaches its threshold, `THRESHOLD` where none are given.
    """
    wide = np.asarray(logits)
    if task == "single-label":
        chosen = np.zeros(wide.shape, dtype=np.bool_)
        if wide.size:
            chosen[np.arange(len(wide)), wide.argmax(axis=1)] = True
        return chosen
    limits = np.full(wide.shape[1], THRESHOLD) if thresholds is None else np.asarray(thresholds, dtype=float)
    if limits.shape != (wide.shape[1],):
        raise ValueError(f"{wide.shape[1]} labels need as many thresholds, not {limits.shape}")
    return np.asarray(scores(task, wide) >= limits, dtype=np.bool_)


def exact_accuracy(
    task: Task,
    targets: NDArray[np.uint8],
    logits: NDArray[np.floating],
    thresholds: Sequence[float] | None = None,
) -> float | None:
    """Return the share of images whose set of labels is exactly right, None for no rows."""
    if len(targets) == 0:
        return None
    right = (decide(task, logits, thresholds) == np.asarray(targets, dtype=np.bool_)).all(axis=1)
    return float(right.mean())


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    if logits.size == 0:
        return logits
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
