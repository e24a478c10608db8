"""The default trainer for one label per image: a softmax head on embeddings.

The server lists it at every start, so whatever needs numpy is imported where it is used.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from fieldmark import Classifier, Options, Progress, Trainer, TrainingSet, hookimpl

if TYPE_CHECKING:
    from fieldmark.plugins.trainers.softmax_classifier import SoftmaxClassifier

_PASSES_OVER_BIG_SETS = 10
_STEPS = 200


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
        from fieldmark.plugins.trainers.softmax_descent import Descent, learn

        wanted = Descent(
            self.options.learning_rate,
            self.options.balance,
            self.options.l2,
            self._planned_steps(len(data.train)),
            time.monotonic(),
        )
        return (yield from learn(data, wanted))

    def planned_steps(self, images: int, labels: int, seconds: float) -> int:
        """Return 200, ten passes over many images or the steps asked for, or fewer if only those fit into the time."""
        from fieldmark.plugins.trainers.softmax_descent import SEARCH_SHARE, SPARE
        from fieldmark.plugins.trainers.softmax_head import step_seconds

        search = min(self._search_seconds(images, labels), SEARCH_SHARE * seconds)
        fit = int((SPARE * seconds - search) / step_seconds(images, labels))
        return max(1, min(self._planned_steps(images), fit))

    def planned_seconds(self, images: int, labels: int) -> float:
        """Return the time of the search for a penalty and of all steps."""
        from fieldmark.plugins.trainers.softmax_head import step_seconds

        return self._search_seconds(images, labels) + self._planned_steps(images) * step_seconds(
            images, labels
        )

    def _search_seconds(self, images: int, labels: int) -> float:
        from fieldmark.plugins.trainers.softmax_descent import SEARCH_ROWS
        from fieldmark.plugins.trainers.softmax_head import search_seconds

        return 0.0 if self.options.l2 is not None else search_seconds(min(images, SEARCH_ROWS), labels)

    def _planned_steps(self, images: int) -> int:
        from fieldmark.plugins.trainers.softmax_head import FULL_BATCH

        big = -(-_PASSES_OVER_BIG_SETS * images // FULL_BATCH)
        return self.options.steps or max(_STEPS, big if images > FULL_BATCH else 0)

    @classmethod
    def restore(cls, folder: Path) -> SoftmaxClassifier:
        """Read what `save` wrote; raises `PluginError` that names a damaged file."""
        from fieldmark.plugins.trainers.softmax_classifier import restore

        return restore(folder)


@hookimpl
def register_trainers() -> list[type[SingleLabel]]:
    """Offer the trainer."""
    return [SingleLabel]
