"""Backbones turn images into feature vectors ("embeddings", also called bottleneck features)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from fieldmark.core.contracts.plugin import O, Plugin

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image


class Backbone(Plugin[O]):
    """A frozen feature extractor.

    Core calls `missing`, `fetch` if allowed and needed, `load` once, and then `embed` for batches of decoded,
    upright RGB images. `dim`, `fingerprint` and `short_side` are valid after `load`.
    """

    variant_option: ClassVar[str | None] = None
    """The option that the part after the colon fills: `architecture` makes `timm:resnet18` possible."""
    batch_size: ClassVar[int] = 32
    concurrent: ClassVar[bool] = False
    """True: `embed` may be called from several threads at once, each call computing on one thread."""
    pretrained: ClassVar[bool] = False
    """True: learned from photographs; False makes core say once what a pretrained backbone would add."""

    dim: int
    """Length of the vectors."""
    fingerprint: str
    """Hash (lower-case hex) of weights, preprocessing, precision and engine: equal vectors, equal fingerprint."""
    short_side: int
    """Pixels: an image whose short side is larger may be reduced to twice this before `embed` sees it."""

    def missing(self) -> str | None:
        """Return what must be fetched first, as a sentence with its size where known; None when all is here.

        Touches no network.
        """
        return None

    def fetch(self, report: Callable[[int, int], None]) -> None:
        """Fetch what is missing, calling `report(done, total)` in bytes; raises `PluginError` when it can't."""

    @abstractmethod
    def load(self, device: str) -> None:
        """Load weights onto a torch device name; no network; raises `PluginError` naming a bad file."""

    @abstractmethod
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return one finite vector per image, float32 [n, dim], whatever the batch it comes in."""

    def notices(self) -> tuple[str, ...]:
        """Return sentences the person should read after `load`, such as defaults that were assumed."""
        return ()

    def settled_options(self) -> O:
        """Return the options with every automatic choice made, after `load`.

        They are stored with a model, so that it computes alike on a machine that would choose otherwise.
        """
        return self.options

    def module(self) -> torch.nn.Module | None:
        """Return float32 [n, 3, h, w] in 0..1 -> [n, dim] as one torch module, or None if there is none."""
        return None

    def transform(self) -> Callable[[Image], torch.Tensor] | None:
        """Return what turns an RGB image into the [3, h, w] in 0..1 that `module` takes."""
        return None
