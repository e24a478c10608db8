"""The four hooks. Each returns capability classes, is called once, and takes no arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.contracts.exporter import Exporter
from fieldmark.core.contracts.importer import Importer
from fieldmark.core.contracts.trainer import Trainer

CONTRACT_VERSION = 1
ENTRY_POINT_GROUP = "fieldmark"

hookspec = pluggy.HookspecMarker("fieldmark")
hookimpl = pluggy.HookimplMarker("fieldmark")


@hookspec
def register_importers() -> Iterable[type[Importer[Any]]]:
    """Return Importer classes, which read annotations from files, folders or zips."""
    return ()


@hookspec
def register_backbones() -> Iterable[type[Backbone[Any]]]:
    """Return Backbone classes, which turn images into embeddings."""
    return ()


@hookspec
def register_trainers() -> Iterable[type[Trainer[Any]]]:
    """Return Trainer classes, which learn a classifier."""
    return ()


@hookspec
def register_exporters() -> Iterable[type[Exporter[Any]]]:
    """Return Exporter classes, which write labels or predictions."""
    return ()
