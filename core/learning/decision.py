"""What one image is said to be, from its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

THRESHOLD = 0.5
"""Score from which a label is given where thresholds decide and none has been fitted."""


def predicted_labels(
    task: str, labels: Sequence[str], scores: Sequence[float], thresholds: Mapping[str, float]
) -> tuple[str, ...]:
    """Return what one image is said to be, highest score first, by the same rule as `scores.decide`."""
    ranked = sorted(range(len(labels)), key=lambda index: -scores[index])
    if task == "single-label":
        return (labels[ranked[0]],)
    return tuple(labels[i] for i in ranked if scores[i] >= thresholds.get(labels[i], THRESHOLD))
