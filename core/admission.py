"""What a class must be before it is taken in as a plugin."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.contracts.exporter import Exporter
from fieldmark.core.contracts.importer import Importer
from fieldmark.core.contracts.plugin import Options, Plugin
from fieldmark.core.contracts.terms import TASKS, Kind
from fieldmark.core.contracts.trainer import Trainer
from fieldmark.core.options import refused_fields

BASES: dict[Kind, type[Plugin[Any]]] = {
    "importer": Importer,
    "backbone": Backbone,
    "trainer": Trainer,
    "exporter": Exporter,
}
_KEBAB_CASE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def reasons_to_refuse(kind: Kind, candidate: object) -> list[str]:
    """Return one sentence for each rule of the contract that shows without an instance; empty when fine."""
    base = BASES[kind]
    if not isinstance(candidate, type):
        return [f"register_{kind}s must return classes, not {candidate!r:.80}."]
    if not issubclass(candidate, base):
        return [f"Class {candidate.__name__} must be a subclass of fieldmark.{base.__name__}."]
    return [f"Class {candidate.__name__}: {reason}" for reason in _reasons(candidate)]


def _reasons(cls: type[Plugin[Any]]) -> Iterator[str]:
    if inspect.isabstract(cls):
        yield f"it lacks the methods {', '.join(sorted(cls.__abstractmethods__))}."
    name = getattr(cls, "name", None)
    if not (isinstance(name, str) and len(name) <= 64 and _KEBAB_CASE.fullmatch(name)):
        yield f"its name must be lower-case kebab-case such as 'my-plugin', not {name!r:.80}."
    summary = getattr(cls, "summary", None)
    if not (isinstance(summary, str) and summary.strip() and "\n" not in summary):
        yield "its summary must be one line of text."
    if not issubclass(cls.options_model, Options):
        yield "its options_model must be a subclass of fieldmark.Options."
        return
    yield from refused_fields(cls.options_model)
    if issubclass(cls, Backbone):
        yield from _backbone_reasons(cls)
    elif issubclass(cls, Trainer):
        yield from _trainer_reasons(cls)
    elif issubclass(cls, Exporter):
        yield from _exporter_reasons(cls)


def _backbone_reasons(cls: type[Backbone[Any]]) -> Iterator[str]:
    if cls.variant_option is not None and cls.variant_option not in cls.options_model.model_fields:
        yield f"its variant_option must name one of its options, not {cls.variant_option!r:.80}."
    if not (isinstance(cls.batch_size, int) and cls.batch_size > 0):
        yield "its batch_size must be a whole number above 0."


def _trainer_reasons(cls: type[Trainer[Any]]) -> Iterator[str]:
    tasks = getattr(cls, "tasks", None)
    if not (isinstance(tasks, frozenset | set) and tasks and tasks <= set(TASKS)):
        yield f"its tasks must be a frozenset of {', '.join(TASKS)}."
    if cls.wants not in ("embeddings", "images"):
        yield "its wants must be 'embeddings' or 'images'."


def _exporter_reasons(cls: type[Exporter[Any]]) -> Iterator[str]:
    if getattr(cls, "exports", None) not in ("labels", "predictions"):
        yield "its exports must be 'labels' or 'predictions'."
    suffix = getattr(cls, "suffix", None)
    if not (isinstance(suffix, str) and re.fullmatch(r"(\.[A-Za-z0-9]+)+", suffix)):
        yield "its suffix must be a file ending such as '.zip'."
    media_type = getattr(cls, "media_type", None)
    if not (isinstance(media_type, str) and re.fullmatch(r"[\w.+-]+/[\w.+-]+", media_type)):
        yield "its media_type must be a media type such as 'application/zip'."
