"""The default backbone: colour, texture and shape by fixed formulas, so it needs no weights and no network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fieldmark import Backbone, Options, PluginError, hookimpl
from fieldmark.plugins.backbones import embedded_net

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

_VECTORS = "embedded-1"
"""Changes whenever the formulas or the resizing change, and with them the vectors."""


class Embedded(Backbone[Options]):
    """Fixed descriptors; the whole image is squeezed into a square of 192 pixels first.

    The vector has three parts: a hue-saturation-value histogram (12 x 4 x 6 bins), histograms of uniform local
    binary patterns of luma and two opponent colours at three scales (9 x 59), and gradient directions in 4 x 4
    cells (9 each). Both kinds of histogram pass through log(1 + 1000 share) and are then scaled to Euclidean
    length 1; the cells are normalised by their neighbours and have a length of about 1 where there is contrast.
    So the parts weigh alike, and a linear head with an L2 penalty works on the vectors as they are, somewhat
    better on standardised ones.
    """

    name = "embedded"
    summary = "Colour, texture and shape; built in, nothing to download"
    batch_size: ClassVar[int] = 8
    concurrent: ClassVar[bool] = True
    pretrained: ClassVar[bool] = False

    def load(self, device: str) -> None:
        import torch

        try:
            self._device = torch.device(device)
            self._network = embedded_net.build().requires_grad_(False).to(self._device)
        except (RuntimeError, AssertionError):
            raise PluginError(f"The device {device!r} cannot be used here; choose cpu.") from None
        if self._device.type == "cpu":
            # Core embeds from several threads at once; torch's own threads would only wait for each other.
            torch.set_num_threads(1)
        self.dim = embedded_net.DIM
        self.short_side = embedded_net.SIDE
        recipe = f"{_VECTORS} squash {embedded_net.SIDE} bilinear float32 torch {self._device.type}"
        weights = embedded_net.uniform_patterns().numpy().tobytes()
        self.fingerprint = hashlib.sha256(recipe.encode() + b"\0" + weights).hexdigest()

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        import numpy as np
        import torch

        vectors = np.empty((len(images), embedded_net.DIM), np.float32)
        with torch.inference_mode():
            # One by one: a batch is no faster here, and so nothing can depend on it.
            for row, image in enumerate(images):
                pixels = _to_tensor(image).to(self._device).unsqueeze(0)
                vectors[row] = self._network(pixels)[0].cpu().numpy()
        return vectors

    def module(self) -> torch.nn.Module:
        """Return a fresh module on the CPU, for 192 x 192 pixels; it has no parameters to train."""
        return embedded_net.build()

    def transform(self) -> Callable[[Image], torch.Tensor]:
        return _to_tensor


def _to_tensor(image: Image) -> torch.Tensor:
    """Return float32 [3, 192, 192] in 0..1 of an RGB image."""
    import numpy as np
    import torch
    from PIL.Image import Resampling

    side = embedded_net.SIDE
    square = image.resize((side, side), Resampling.BILINEAR, reducing_gap=2.0)
    pixels = torch.from_numpy(np.array(square, dtype=np.uint8))
    return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div_(255)


@hookimpl
def register_backbones() -> Iterable[type[Backbone[Any]]]:
    return [Embedded]
