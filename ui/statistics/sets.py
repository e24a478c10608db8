"""The sets of images that a model was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETS = {"training": "train", "validation": "validation", "test": "test"}
"""{as `core.statistics` names a set: its split}, in the order of the tabs."""


def measured(found: Mapping[str, Any], name: str) -> bool:
    """Return whether there were images in a set of `core.statistics.statistics`."""
    return bool(found[name] and found[name]["count"])
