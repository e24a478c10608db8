"""Which labels a model takes for which others: the off-diagonal cells of a confusion matrix, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One cell beside the diagonal."""

    truth: str
    predicted: str
    images: int


def mistakes(matrix: Sequence[Sequence[int]], labels: Sequence[str], most: int = 50) -> list[Mistake]:
    """Return the mistakes that were made, the most frequent first; rows of `matrix` are the truth.

    Of equals the one that takes the larger share of its row comes first, then the order of `labels` decides.
    """
    found = [
        (-images, -images / sum(row), Mistake(truth, predicted, images))
        for truth, row in zip(labels, matrix, strict=True)
        for predicted, images in zip(labels, row, strict=True)
        if images and truth != predicted
    ]
    return [mistake for *_, mistake in sorted(found, key=lambda one: one[:2])[:most]]
