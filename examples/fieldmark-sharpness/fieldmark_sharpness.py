"""A backbone whose vectors say how sharp an image is, from coarse to fine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from fieldmark import Backbone, Options, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


class SharpnessOptions(Options):
    """What a person can choose."""

    bins: int = Field(default=16, ge=2, le=64, description="How finely edge strengths are told apart")
    side: int = Field(default=128, ge=32, le=512, description="Images are scaled to this many pixels a side")


class Sharpness(Backbone[SharpnessOptions]):
    """For each of three scales, the share of pixels at each strength of edge; [n, 3 * bins]."""

    name = "sharpness"
    summary = "How sharp an image is, at three scales"
    concurrent = True

    def load(self, device: str) -> None:
        """Set the sizes; there are no weights, and any device will do."""
        settings = f"sharpness 1, bins {self.options.bins}, side {self.options.side}"
        self.fingerprint = hashlib.sha256(settings.encode()).hexdigest()
        self.dim = 3 * self.options.bins
        self.short_side = self.options.side

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return one row of shares, 0 to 1, for each image."""
        import numpy as np

        return np.stack([self._vector(image) for image in images])

    def _vector(self, image: Image) -> NDArray[np.float32]:
        import numpy as np

        shares = []
        for scale in (1, 2, 4):
            side = self.options.side // scale
            grey = np.asarray(image.convert("L").resize((side, side)), np.float32)
            down, across = np.gradient(grey)
            strength = np.log1p(np.hypot(down, across))
            counts, _ = np.histogram(strength, self.options.bins, range=(0, np.log1p(256)))
            shares.append(counts / counts.sum())
        return np.concatenate(shares).astype(np.float32)


@hookimpl
def register_backbones() -> list[type[Sharpness]]:
    """Offer the backbone `sharpness`."""
    return [Sharpness]
