"""Trainers learn a classifier; they are ways to do a task, not tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fieldmark.core.contracts.plugin import O, Plugin
from fieldmark.core.contracts.terms import Task

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Examples:
    """One split, row by row."""

    inputs: NDArray[np.float32] | Sequence[Image]
    """float32 [n, dim] embeddings, or for `wants = "images"` a sequence that opens an image when indexed."""
    targets: NDArray[np.uint8]
    """uint8 [n, labels]: 1 where the image carries the label; one 1 in each row for single-label."""
    groups: NDArray[np.int64]
    """int64 [n]: images of one number are near-duplicates; folds must not tear them apart."""

    def __len__(self) -> int:
        return int(self.targets.shape[0])


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """All a trainer gets. Test images are not in it."""

    task: Task
    labels: tuple[str, ...]
    train: Examples
    validation: Examples
    """May be empty; a trainer may look at it to stop early, never to fit."""
    seconds: float
    """Wall time it may take; core closes the generator when it is over."""
    seed: int = 0


class Classifier(ABC):
    """What training leaves: inputs in, logits out."""

    @abstractmethod
    def logits(self, inputs: NDArray[np.float32] | Sequence[Image]) -> NDArray[np.float32]:
        """Return float32 [n, labels], labels in training order.

        Scores are their softmax for single-label and their sigmoid for multi-label and one-class; core
        computes them.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything `Trainer.restore` needs into an existing empty folder: safetensors and JSON."""

    def module(self) -> torch.nn.Module | None:
        """Return the same as a torch module, embeddings to logits, so that a model can leave as a bundle."""
        return None


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of the way."""

    step: int
    steps: int
    """How many there will be as far as is known now."""
    classifier: Classifier | None = None
    """The weights as they are at this step: core scores them on train and validation for the learning
    curves and keeps the best. It must not change afterwards."""
    message: str = ""


class Trainer(Plugin[O]):
    """Learns one model."""

    tasks: ClassVar[frozenset[Task]]
    wants: ClassVar[Literal["embeddings", "images"]] = "embeddings"

    @abstractmethod
    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        """Yield progress, with the classifier now and then, and return the last classifier.

        Cancelling or the end of the time closes the generator at a yield: yield at least every second, and
        clean up in `finally`.
        """

    def planned_steps(self, images: int, labels: int, seconds: float) -> int | None:
        """Return about how many steps `fit` will plan for so many training images and so much time.

        None: that is not known before. Asked whenever a person changes a choice, so it must be quick.
        """
        return None

    def planned_seconds(self, images: int, labels: int) -> float | None:
        """Return about how long `fit` takes on an ordinary machine when nothing bounds its time.

        None: that is not known before. Core corrects it by what earlier trainings took here, so what counts is how
        it grows with the images and labels. Asked as often as `planned_steps`.
        """
        return None

    @classmethod
    @abstractmethod
    def restore(cls, folder: Path) -> Classifier:
        """Return what `Classifier.save` wrote; raises `PluginError` that names a damaged file."""
