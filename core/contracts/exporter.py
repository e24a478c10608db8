"""Exporters write labels or predictions in the form another program reads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Literal

from fieldmark.core.contracts.plugin import O, Plugin
from fieldmark.core.contracts.terms import CheckpointName, Split, State


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with what people said about it."""

    image: str
    labels: tuple[str, ...]
    """The default label first."""
    state: State
    split: Split | None
    open: Callable[[], BinaryIO]
    """Opens the image's own bytes."""


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """One image with what a model said about it."""

    image: str
    predicted: tuple[str, ...]
    """Empty when no label reached its threshold."""
    scores: Mapping[str, float]
    """Every label of the model, 0 to 1, in the model's order."""
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What is known before the first record."""

    project: str
    labels: tuple[str, ...]
    images: int
    model: str | None = None
    checkpoint: CheckpointName | None = None


class Exporter(Plugin[O]):
    """Writes one file."""

    exports: ClassVar[Literal["labels", "predictions"]]
    suffix: ClassVar[str]
    """File ending with its dot, such as `.zip`."""
    media_type: ClassVar[str]

    def loses(self, context: ExportContext) -> list[str]:
        """Return one sentence for each thing that the format cannot carry."""
        return []

    @abstractmethod
    def write(
        self,
        records: Iterable[LabelledImage] | Iterable[PredictedImage],
        context: ExportContext,
        target: BinaryIO,
    ) -> None:
        """Write records as they come, without holding them all in memory."""
