"""Fieldmark's public names: all that a plugin author imports.

They load on first use, because every `fieldmark.*` module passes through here and the command line's
`--help` must not pay for them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldmark.core.contracts.backbone import Backbone
    from fieldmark.core.contracts.exporter import ExportContext, Exporter, LabelledImage, PredictedImage
    from fieldmark.core.contracts.importer import Description, Example, Field, Importer, Skipped
    from fieldmark.core.contracts.plugin import Options, Plugin, PluginError
    from fieldmark.core.contracts.source import IMAGE_SUFFIXES, Source
    from fieldmark.core.contracts.terms import CheckpointName, Kind, Split, State, Task
    from fieldmark.core.contracts.trainer import Classifier, Examples, Progress, Trainer, TrainingSet
    from fieldmark.core.hookspecs import CONTRACT_VERSION, hookimpl

_HOMES = {
    "fieldmark.core.contracts.backbone": ("Backbone",),
    "fieldmark.core.contracts.exporter": ("ExportContext", "Exporter", "LabelledImage", "PredictedImage"),
    "fieldmark.core.contracts.importer": ("Description", "Example", "Field", "Importer", "Skipped"),
    "fieldmark.core.contracts.plugin": ("Options", "Plugin", "PluginError"),
    "fieldmark.core.contracts.source": ("IMAGE_SUFFIXES", "Source"),
    "fieldmark.core.contracts.terms": ("CheckpointName", "Kind", "Split", "State", "Task"),
    "fieldmark.core.contracts.trainer": ("Classifier", "Examples", "Progress", "Trainer", "TrainingSet"),
    "fieldmark.core.hookspecs": ("CONTRACT_VERSION", "hookimpl"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CONTRACT_VERSION",
    "IMAGE_SUFFIXES",
    "Backbone",
    "CheckpointName",
    "Classifier",
    "Description",
    "Example",
    "Examples",
    "ExportContext",
    "Exporter",
    "Field",
    "Importer",
    "Kind",
    "LabelledImage",
    "Options",
    "Plugin",
    "PluginError",
    "PredictedImage",
    "Progress",
    "Skipped",
    "Source",
    "Split",
    "State",
    "Task",
    "Trainer",
    "TrainingSet",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'fieldmark' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
