"""Copies of photos share a hash nearly; different pictures do not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from fieldmark.core.pictures.duplicates import duplicate_groups
from fieldmark.core.pictures.perceptual import NEAR, perceptual_hash


def apart(one: str | None, other: str | None) -> int:
    assert one is not None
    assert other is not None
    return (int(one, 16) ^ int(other, 16)).bit_count()


def waves(seed: int, size: int = 128) -> Image.Image:
    """A picture of a few dozen random waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    pixels = np.zeros((size, size))
    for _ in range(40):
        pixels += np.sin(2 * np.pi * (rng.uniform(-6, 6) * x + rng.uniform(-6, 6) * y + rng.uniform()))
    pixels = 255 * (pixels - pixels.min()) / np.ptp(pixels)
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


def resaved(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def photos(folder: str, pattern: str) -> list[Image.Image]:
    if "FIELDMARK_DATA" not in os.environ:
        pytest.skip(f"FIELDMARK_DATA names no folder with {folder}")
    paths = sorted((Path(os.environ["FIELDMARK_DATA"]) / folder).glob(pattern))
    return [Image.open(path).convert("RGB") for path in paths]


def groups_of(images: list[Image.Image]) -> np.ndarray:
    return duplicate_groups([str(i) for i in range(len(images))], [perceptual_hash(i) for i in images])


def test_a_hash_is_64_hex_digits_and_stays_what_it_was() -> None:
    found = perceptual_hash(waves(0))
    assert found is not None
    assert len(found) == 64
    stored = "771a10aaea70ac3f9e9504cfda353fbdfa15514a15e0d760758ad7107582d710"
    assert apart(found, stored) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_near_and_others_far(seed: int) -> None:
    image = waves(seed)
    original = perceptual_hash(image)
    copies = [
        image.convert("L"),
        resaved(image, 60),
        image.resize((64, 64)),
        image.resize((256, 256)),
        ImageEnhance.Brightness(image).enhance(0.9),
    ]
    assert max(apart(original, perceptual_hash(copy)) for copy in copies) <= NEAR
    others = [waves(seed + 100), image.transpose(Image.Transpose.ROTATE_90), image.crop((40, 40, 128, 128))]
    assert min(apart(original, perceptual_hash(other)) for other in others) > 4 * NEAR


def dot() -> Image.Image:
    image = Image.new("RGB", (256, 256), "white")
    image.putpixel((100, 50), (0, 0, 0))
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("L", (1, 1)),
        Image.linear_gradient("L"),
        resaved(Image.linear_gradient("L").convert("RGB"), 60),
        dot(),
    ],
    ids=["blank", "one pixel", "ramp", "ramp as JPEG", "dot"],
)
def test_pictures_with_too_little_in_them_have_no_hash(image: Image.Image) -> None:
    assert perceptual_hash(image) is None


def test_handwritten_digits_do_not_fall_together() -> None:
    digits = [Image.fromarray((pixels * 15.9).astype(np.uint8)) for pixels in load_digits().images]
    assert len(digits) == 1797
    enlarged = [digit.resize((64, 64), Image.Resampling.BICUBIC) for digit in digits]
    assert np.bincount(groups_of(enlarged)).max() <= 2
    blocks = [digit.resize((64, 64), Image.Resampling.NEAREST) for digit in digits]
    assert np.bincount(groups_of(blocks)).max() <= 4


def test_circuit_boards_do_not_fall_together() -> None:
    assert np.bincount(groups_of(photos("deeppcb_mini", "images/*"))).max() <= 2


def test_copies_of_photos_are_found_and_no_two_photos_confused() -> None:
    originals = photos("trashnet_mini", "*/*.jpg")
    assert groups_of(originals).max() == len(originals) - 1
    found, made = 0, 0
    for image in originals[::3]:
        original = perceptual_hash(image)
        for copy in (
            resaved(image, 60),
            resaved(image, 95),
            image.resize((image.width // 2, image.height // 2)),
            image.resize((image.width * 2, image.height * 2)),
            ImageEnhance.Brightness(image).enhance(1.1),
        ):
            made += 1
            found += apart(original, perceptual_hash(copy)) <= NEAR
    assert found >= 0.98 * made
