"""From scores to predicted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DEFAULT_THRESHOLD = 0.5


def decide(
    task: str, labels: Sequence[str], scores: Sequence[float], thresholds: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the predicted labels: for single-label the one with the highest score, else all that reach their
    threshold (0.5 where none is set), highest score first."""
    ranked = sorted(range(len(labels)), key=lambda index: -scores[index])
    if task == "single-label":
        return (labels[ranked[0]],)
    return tuple(
        labels[index] for index in ranked if scores[index] >= thresholds.get(labels[index], DEFAULT_THRESHOLD)
    )
