"""timm's eval transform, resizing only the part of the image that the network sees.

The pixels are those of timm's transform for square and wide images. For some tall ones Pillow runs its two passes
in the other order, and the 8-bit rounding between the passes moves single pixels beside hard edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image


@dataclass(frozen=True)
class EvalTransform:
    """What a network expects of its input; sizes are (height, width) in pixels."""

    size: tuple[int, int]
    scaled: tuple[int, int]
    """The size before the centre crop: of the short side ("center") or of both sides ("squash")."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop_mode: str
    crop_pct: float
    whole: Callable[[Image], Any] | None
    """timm's own transform to uint8, for what the short way does not cover."""

    @classmethod
    def of(cls, network: torch.nn.Module) -> EvalTransform:
        """Return the transform that timm resolves for a network it made."""
        import math

        import timm

        data: Any = timm.data
        config: dict[str, Any] = data.resolve_model_data_config(network)
        height, width = config["input_size"][-2:]
        scaled = tuple(math.floor(side / config["crop_pct"]) for side in (height, width))
        short = config["crop_mode"] == "squash" or (config["crop_mode"] == "center" and height == width)
        whole = None if short else data.create_transform(**config, is_training=False, use_prefetcher=True)
        return cls(
            size=(height, width),
            scaled=(scaled[0], scaled[1]),
            mean=tuple(map(float, config["mean"])),
            std=tuple(map(float, config["std"])),
            interpolation=str(config["interpolation"]),
            crop_mode=str(config["crop_mode"]),
            crop_pct=float(config["crop_pct"]),
            whole=whole,
        )

    @property
    def short_side(self) -> int:
        return max(self.scaled)

    def pixels(self, image: Image) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3] of an RGB image."""
        import numpy as np
        from PIL.Image import Resampling

        if self.whole is not None:
            channels_first: NDArray[np.uint8] = np.asarray(self.whole(image))
            return channels_first.transpose(1, 2, 0)
        resample = Resampling[self.interpolation.upper()]
        height, width = self.size
        cropped = image.resize((width, height), resample, box=self._box(*image.size))
        return np.array(cropped, dtype=np.uint8)

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part of the image, in its own pixels, that becomes the centre crop of the resized whole."""
        if self.crop_mode == "squash":
            tall, wide = self.scaled
        else:
            short = self.scaled[0]
            # torchvision truncates the long side and rounds the crop's corner; so must this.
            tall = short if height <= width else int(short * height / width)
            wide = short if width <= height else int(short * width / height)
        top, left = round((tall - self.size[0]) / 2), round((wide - self.size[1]) / 2)
        across, down = width / wide, height / tall
        right, bottom = (left + self.size[1]) * across, (top + self.size[0]) * down
        return left * across, top * down, min(right, width), min(bottom, height)

    def tables(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 [3] shift and scale: (uint8 - shift) * scale is the normalised input."""
        import torch

        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return mean * 255, 1 / (std * 255)

    def recipe(self) -> dict[str, Any]:
        """Return all that the pixels depend on, as JSON."""
        return {
            "size": self.size,
            "scaled": self.scaled,
            "mean": self.mean,
            "std": self.std,
            "interpolation": self.interpolation,
            "crop_mode": self.crop_mode,
        }
