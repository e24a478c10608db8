"""What is told of a classifier: the figures of one split, the points of the learning curves. Computed elsewhere."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from fieldmark.core.contracts.terms import Task


class LabelFigures(BaseModel):
    """One label against all others; every figure but `count` is None when the split is empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    count: int
    """Images that truly carry the label."""
    accuracy: float | None = None
    """Share of all images for which having or not having this label was decided right."""
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    matthews: float | None = None
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0


class Evaluation(BaseModel):
    """The figures of one split; to JSON by `model_dump_json`, back by `model_validate_json`.

    Every figure but `count` is None when the split is empty. A precision, recall or F1 without a case (nothing
    predicted, nothing to find) counts as 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    count: int
    accuracy: float | None = None
    """Share of images decided right; for multi-label the whole set of labels must be right."""
    precision: float | None = None
    """Macro average: the plain mean over all labels of the model, each counting the same."""
    recall: float | None = None
    """Macro average."""
    f1: float | None = None
    """Macro average: the mean of the labels' F1, not the F1 of the means."""
    cross_entropy: float | None = None
    """Mean, in nats: minus log score of the true label; multi-label: binary, over images and labels."""
    matthews: float | None = None
    """Matthews correlation coefficient; multi-label: over all (image, label) decisions taken together."""
    confusion: list[list[int]] | None = None
    """Single-label only: rows are the truth, columns what was predicted, both in the order of `labels`."""
    labels: list[LabelFigures]


class SplitFigures(BaseModel):
    """How a classifier does on (a sample of) one split at one step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    accuracy: float
    """Share of images decided right; multi-label: the whole set of labels."""
    cross_entropy: float


class CurvePoint(BaseModel):
    """One point of the learning curves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    seconds: float
    """Wall time since the training began."""
    train: SplitFigures
    validation: SplitFigures | None = None
    """None without validation images."""
