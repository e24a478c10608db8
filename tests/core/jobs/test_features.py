"""A backbone is loaded only when something is missing: its own words about itself are remembered."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from PIL import Image
from pydantic import Field

from fieldmark import Backbone, Options
from fieldmark.core.embedding import EmbedItem
from fieldmark.core.jobs.features import features
from fieldmark.core.registry import Registered, Registry


class PrecisionOptions(Options):
    precision: Literal["auto", "half", "full"] = Field("auto", description="How exact.")


class Mean(Backbone[PrecisionOptions]):
    """The mean colour; `auto` settles on `full`."""

    name = "mean"
    summary = "Mean colour"
    options_model = PrecisionOptions
    loads: ClassVar[list[str]] = []

    def load(self, device: str) -> None:
        precision = self.settled_options().precision
        self.loads.append(precision)
        self.dim, self.short_side = 3, 8
        self.fingerprint = hashlib.sha256(precision.encode()).hexdigest()

    def settled_options(self) -> PrecisionOptions:
        auto = self.options.precision == "auto"
        return PrecisionOptions(precision="full") if auto else self.options

    def embed(self, images: Any) -> Any:
        return np.array([np.asarray(image).mean(axis=(0, 1)) for image in images], dtype=np.float32)


@pytest.fixture
def registry() -> Registry:
    Mean.loads.clear()
    return Registry([Registered("backbone", "mean", Mean, "fieldmark-mean", "1.0", "Mean colour")])


def items(folder: Path, count: int) -> list[EmbedItem]:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(folder / f"{number}.png")
    return [
        EmbedItem(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in sorted(folder.iterdir())
    ]


def test_asking_with_settled_options_needs_no_load(tmp_path: Path, work, registry: Registry) -> None:
    images, cache = items(tmp_path / "images", 4), tmp_path / "embeddings"

    def ask(precision: str) -> Any:
        return features(registry, "mean", {"precision": precision}, images, cache, work, offline=True)

    first = ask("auto")
    assert (Mean.loads, first.computed) == (["full"], 4)
    assert first.backbone.options == {"precision": "full"}
    for precision in ("full", "auto", "full"):
        again = ask(precision)
        assert (again.computed, again.backbone.fingerprint) == (0, first.backbone.fingerprint)
        assert np.array_equal(again.matrix, first.matrix)
    assert Mean.loads == ["full"]
    ask("half")
    ask("auto")
    assert Mean.loads == ["full", "half"]


def test_a_refusal_does_not_name_the_hash_that_the_file_is_called_by(
    tmp_path: Path, work, registry: Registry
) -> None:
    images = items(tmp_path / "images", 2)
    hidden = tmp_path / ("0" * 64)
    hidden.write_bytes(b"gone")
    embedded = features(
        registry, "mean", {}, [*images, EmbedItem("0" * 64, hidden)], tmp_path / "cache", work, offline=True
    )
    ((index, reason),) = embedded.failures
    assert index == 2 and embedded.found.tolist() == [True, True, False]
    assert reason.startswith("The image is in none of the formats") and "0000" not in reason
