"""Colour, texture and shape of an image as one torch module without weights.

Comparisons are made on whole numbers, so that rounding in another engine or batch cannot turn one round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIDE = 192
"""Pixels: the module takes squares of this side."""
HUES, SATURATIONS, VALUES = 12, 4, 6
SCALES = 3
"""Texture is seen at full size, a half and a quarter."""
UNIFORM = 59
"""Texture codes: 58 with at most two changes around the circle, and one for all others."""
SHAPE_SIDE, CELL, DIRECTIONS = 24, 6, 9
PARTS = {
    "colour": HUES * SATURATIONS * VALUES,
    "texture": SCALES * 3 * UNIFORM,
    "shape": (SHAPE_SIDE // CELL) ** 2 * DIRECTIONS,
}
"""The parts of the vector in order, each with its length."""
DIM = sum(PARTS.values())

_CIRCLE = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
_GREY = (77.0, 150.0, 29.0)
"""Weights of red, green and blue in the luma, in 256ths."""


def colour(levels: torch.Tensor) -> torch.Tensor:
    """Return the joint histogram of hue, saturation and value, [n, PARTS["colour"]].

    `levels` is [n, 3, SIDE, SIDE] in whole numbers 0..255, here and below.
    """
    import torch

    pooled = torch.nn.functional.avg_pool2d(levels, 2)
    red, green, blue = pooled.unbind(1)
    value, least = pooled.amax(1), pooled.amin(1)
    spread = value - least
    divisor = spread.clamp_min(0.25)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    turns = sixths / 6
    hue = ((turns - turns.floor()) * HUES).floor().clamp_max(HUES - 1)
    saturation = (spread * SATURATIONS / value.clamp_min(0.25)).floor().clamp_max(SATURATIONS - 1)
    rest = saturation * VALUES + (value * VALUES / 256).floor()
    return _joint(_one_hot(hue.flatten(1), HUES), _one_hot(rest.flatten(1), SATURATIONS * VALUES))


def texture(levels: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return local binary pattern histograms, [n, PARTS["texture"]]: per scale, of luma and two opponent colours.

    `uniform` is [256, UNIFORM], from `uniform_patterns`.
    """
    import torch

    red, green, blue = levels.unbind(1)
    luma = red * _GREY[0] + green * _GREY[1] + blue * _GREY[2]
    planes = torch.stack([luma, red - green, red + green - 2 * blue], 1)
    found = []
    for scale in range(SCALES):
        if scale:
            planes = torch.nn.functional.avg_pool2d(planes, 2)
        # One plane at a time stays in the processor's cache, which is a third faster.
        found += [torch.matmul(_patterns(plane), uniform) for plane in planes.unbind(1)]
    return torch.cat(found, 1)


def _patterns(plane: torch.Tensor) -> torch.Tensor:
    """Return [n, 256] of [n, h, w]: the share of pixels with each pattern of darker and not darker neighbours."""
    high, wide = plane.shape[1] - 2, plane.shape[2] - 2
    centre = plane[:, 1:-1, 1:-1]
    bits = [
        (plane[:, top : top + high, left : left + wide] >= centre).flatten(1).to(plane.dtype)
        for top, left in _CIRCLE
    ]
    return _joint(_one_hot_bits(bits[4:]), _one_hot_bits(bits[:4]))


def shape(levels: torch.Tensor) -> torch.Tensor:
    """Return gradient strength by direction in each cell, against its surroundings, [n, PARTS["shape"]]."""
    import math

    import torch

    functional = torch.nn.functional
    red, green, blue = levels.unbind(1)
    luma = (red * _GREY[0] + green * _GREY[1] + blue * _GREY[2]) / (256 * 255)
    small = functional.avg_pool2d(luma.unsqueeze(1), SIDE // SHAPE_SIDE)
    padded = functional.pad(small, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength = (across * across + down * down + 1e-12).sqrt()
    angles = [math.pi * index / DIRECTIONS for index in range(DIRECTIONS)]
    along = torch.cat([across * math.cos(angle) + down * math.sin(angle) for angle in angles], 1)
    # A power of the cosine is a soft bin: a direction between two bins counts for both.
    near = (along.abs() / strength) ** (2 * DIRECTIONS)
    share = near / near.sum(1, keepdim=True).clamp_min(1e-6)
    cells = functional.avg_pool2d(share * strength, CELL)
    energy = functional.avg_pool2d((cells * cells).sum(1, keepdim=True), 2, 1)
    around = functional.pad(energy, (0, 1, 0, 1), mode="replicate")
    around = around + functional.pad(energy, (1, 0, 1, 0), mode="replicate")
    return (cells / (around.sqrt() + 0.01)).flatten(1)


def uniform_patterns() -> torch.Tensor:
    """Return float32 [256, UNIFORM], a 1 in each row: the class of each local binary pattern."""
    import torch

    table = torch.zeros(256, UNIFORM)
    smooth = 0
    for code in range(256):
        turned = (code >> 1) | (code & 1) << 7
        if (code ^ turned).bit_count() <= 2:
            table[code, smooth] = 1
            smooth += 1
        else:
            table[code, UNIFORM - 1] = 1
    return table


def build() -> torch.nn.Module:
    """Return float32 [n, 3, SIDE, SIDE] in 0..1 -> float32 [n, DIM], deterministic, nothing to train."""
    import torch

    class ColourTextureShape(torch.nn.Module):
        uniform: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("uniform", uniform_patterns())

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            levels = (images * 255).round()
            parts = [
                _unit(_compressed(colour(levels))),
                _unit(_compressed(texture(levels, self.uniform))),
                # Every cell is normalised by its surroundings already, and a flat image must stay near 0.
                shape(levels).sqrt() / (SHAPE_SIDE // CELL),
            ]
            return torch.cat(parts, 1)

    return ColourTextureShape().eval()


def _one_hot(codes: torch.Tensor, kinds: int) -> torch.Tensor:
    """Return [..., kinds, p] of whole numbers [..., p]."""
    import torch

    every = torch.arange(kinds, dtype=codes.dtype, device=codes.device).unsqueeze(1)
    return (codes.unsqueeze(-2) == every).to(codes.dtype)


def _one_hot_bits(bits: list[torch.Tensor]) -> torch.Tensor:
    """Return [..., 2 ** len(bits), p] of the number that zeros and ones [..., p] spell, lowest bit first."""
    import torch

    # Products are twice as fast as comparing the number with every code.
    codes = torch.stack([1 - bits[0], bits[0]], -2)
    for bit in bits[1:]:
        pair = torch.stack([1 - bit, bit], -2)
        codes = (pair.unsqueeze(-2) * codes.unsqueeze(-3)).flatten(-3, -2)
    return codes


def _joint(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return the share of each pair, [..., a * b], of two one-hot codes [..., a, p] and [..., b, p]."""
    import torch

    # One product of two short codes costs a tenth of a one-hot code of all pairs.
    return torch.matmul(rows, columns.transpose(-1, -2)).flatten(-2) / rows.shape[-1]


def _compressed(shares: torch.Tensor) -> torch.Tensor:
    """Return the shares on a logarithmic scale, so that rare colours and patterns count too; 0 stays 0."""
    return (1 + 1000 * shares).log()


def _unit(rows: torch.Tensor) -> torch.Tensor:
    return rows / (rows * rows).sum(1, keepdim=True).sqrt().clamp_min(1e-6)
