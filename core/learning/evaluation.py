"""How good a classifier is on one split: the figures on the statistics page, each as scikit-learn defines it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldmark.core.contracts.terms import Task
from fieldmark.core.learning import scores
from fieldmark.core.learning.report import Evaluation, LabelFigures
from fieldmark.storage.errors import FieldmarkError


def evaluate(
    task: Task,
    labels: Sequence[str],
    targets: NDArray[np.uint8],
    logits: NDArray[np.floating],
    thresholds: Sequence[float] | None = None,
) -> Evaluation:
    """Compare logits with the truth, both [n, labels] in the order of `labels`.

    Single-label is decided by the highest score, without thresholds; the other tasks by `thresholds` (scores,
    one per label; .5 where none are given).
    Raises `FieldmarkError` when logits are not finite, `ValueError` when shapes don't fit.
    """
    truth = np.asarray(targets)
    if truth.shape != np.shape(logits) or truth.ndim != 2 or truth.shape[1] != len(labels):
        raise ValueError(
            f"targets {truth.shape} and logits {np.shape(logits)} must be [images, {len(labels)} labels]"
        )
    if len(truth) == 0:
        return Evaluation(task=task, count=0, labels=[LabelFigures(label=label, count=0) for label in labels])
    if not np.isfinite(logits).all():
        raise FieldmarkError("The model answered with scores that are not numbers; train it again.")
    if task == "single-label" and not (truth.sum(axis=1) == 1).all():
        raise ValueError("single-label targets need exactly one 1 in each row")
    return _figures(task, labels, truth.astype(np.bool_), np.asarray(logits), thresholds)


def _figures(
    task: Task,
    labels: Sequence[str],
    truth: NDArray[np.bool_],
    logits: NDArray[np.floating],
    thresholds: Sequence[float] | None,
) -> Evaluation:
    from sklearn.metrics import precision_recall_fscore_support

    decided = scores.decide(task, logits, thresholds)
    confusion = None
    if task == "single-label":
        confusion = _confusion(truth, decided)
        answers = truth.argmax(axis=1), decided.argmax(axis=1)
        matthews = _matthews(*answers)
    else:
        answers = truth.astype(np.uint8), decided.astype(np.uint8)
        matthews = _matthews(truth.ravel(), decided.ravel())
    if task != "single-label" and len(labels) == 1:
        chosen, flat = [1], (answers[0].ravel(), answers[1].ravel())
    else:
        chosen, flat = list(range(len(labels))), answers
    by_label = precision_recall_fscore_support(*flat, labels=chosen, average=None, zero_division=0)
    precision, recall, f1 = (np.asarray(column, dtype=float) for column in by_label[:3])
    return Evaluation(
        task=task,
        count=len(truth),
        accuracy=float((truth == decided).all(axis=1).mean()),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        f1=float(f1.mean()),
        cross_entropy=scores.cross_entropy(task, truth.astype(np.uint8), logits),
        matthews=matthews,
        confusion=confusion,
        labels=[
            _one_label(label, truth[:, i], decided[:, i], float(precision[i]), float(recall[i]), float(f1[i]))
            for i, label in enumerate(labels)
        ],
    )


def _matthews(truth: NDArray[Any], decided: NDArray[Any]) -> float:
    from sklearn.metrics import matthews_corrcoef

    if np.unique(truth).size == 1 or np.unique(decided).size == 1:
        # Nothing to correlate; scikit-learn says 0 too, but warns.
        return 0.0
    return float(matthews_corrcoef(truth, decided))


def _confusion(truth: NDArray[np.bool_], decided: NDArray[np.bool_]) -> list[list[int]]:
    from sklearn.metrics import confusion_matrix

    if truth.shape[1] == 1:
        return [[len(truth)]]
    every = list(range(truth.shape[1]))
    matrix = confusion_matrix(truth.argmax(axis=1), decided.argmax(axis=1), labels=every)
    return [[int(cell) for cell in row] for row in matrix]


def _one_label(
    label: str,
    truth: NDArray[np.bool_],
    decided: NDArray[np.bool_],
    precision: float,
    recall: float,
    f1: float,
) -> LabelFigures:
    hits, false_alarms = int((truth & decided).sum()), int((~truth & decided).sum())
    misses, rest = int((truth & ~decided).sum()), int((~truth & ~decided).sum())
    # In Python's integers, so that millions of images can't overflow the product.
    spread = (hits + false_alarms) * (hits + misses) * (rest + false_alarms) * (rest + misses)
    return LabelFigures(
        label=label,
        count=hits + misses,
        accuracy=(hits + rest) / len(truth),
        precision=precision,
        recall=recall,
        f1=f1,
        matthews=(hits * rest - false_alarms * misses) / float(spread) ** 0.5 if spread else 0.0,
        true_positives=hits,
        false_positives=false_alarms,
        false_negatives=misses,
        true_negatives=rest,
    )
