"""Importers read annotations that another tool wrote."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fieldmark.core.contracts.plugin import O, Plugin
from fieldmark.core.contracts.source import Source
from fieldmark.core.contracts.terms import Split, State


@dataclass(frozen=True, slots=True)
class Example:
    """What a label file says about one image; several examples of one image add up."""

    image: str
    """The reference exactly as written in the file; core finds the project's image for it."""
    labels: tuple[str, ...] = ()
    state: State | None = None
    """None: `labelled` when there are labels, else `unlabelled`."""
    split: Split | None = None
    default_label: str | None = None
    """None: the first of `labels`."""
    confidences: Mapping[str, float] = field(default_factory=dict)
    annotator: str | None = None
    location: str = ""
    """Where it stands in the file (`row 5`, `train/cat/`), for reports."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of the file that could not be used; the rest goes on."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class Field:
    """A column, question or attribute that holds something a person may choose."""

    kind: Literal["column", "question", "attribute"]
    name: str
    samples: tuple[tuple[str, int], ...] = ()
    """Up to ten values with how often each occurs, most frequent first."""
    distinct: int = 0
    role: Literal["image", "label", "split", "other"] = "other"
    """What the importer will take it for with the options it has."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a source holds, before anything is read in."""

    images: int
    labels: Mapping[str, int]
    """Each label with the number of images that carry it."""
    fields: tuple[Field, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences for the person: a fall-back encoding, a header that was assumed, a column left out."""


class Importer(Plugin[O]):
    """Turns annotation files into examples; it never opens an image."""

    @classmethod
    @abstractmethod
    def recognises(cls, source: Source) -> float:
        """Return how sure it is, 0 to 1, that the source is in its format; cheap, looks at content."""

    @abstractmethod
    def describe(self, source: Source) -> Description:
        """Return what is in the source; raises `PluginError` when it can't be read at all."""

    @abstractmethod
    def read(self, source: Source) -> Iterator[Example | Skipped]:
        """Yield examples lazily; a bad row is a `Skipped`, an unusable file a `PluginError`."""
