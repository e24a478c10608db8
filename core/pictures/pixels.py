"""Any picture a camera, a scanner or an editor wrote, as upright RGB pixels."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fieldmark.core.pictures.kinds import FORMATS
from fieldmark.storage.errors import FieldmarkError

MAX_PIXELS = 80_000_000
MAX_SIDE = 20_000
MAX_RATIO = 100


class UnreadableImage(FieldmarkError):
    """An image file that cannot be decoded."""


def size_problem(width: int, height: int) -> str | None:
    """Return why an image of this size (pixels) is refused, or None if it is welcome."""
    short, long = sorted((width, height))
    if short < 1:
        return "it has no pixels"
    if long > MAX_SIDE:
        return f"its long side is {long} pixels; at most {MAX_SIDE} are read"
    if short * long > MAX_PIXELS:
        return f"it has {short * long / 1e6:.0f} megapixels; at most {MAX_PIXELS // 1_000_000} are read"
    if long > MAX_RATIO * short:
        return (
            f"it is {width} x {height} pixels; the long side may be at most {MAX_RATIO} times the short one"
        )
    return None


def open_upright(path: Path, short_side: int | None) -> Image.Image:
    """Decode one file to upright RGB (see `upright_rgb`).

    An image whose short side is several times `short_side` (pixels) is reduced by whole factors, never to less
    than twice `short_side`; a JPEG is decoded at 1/2, 1/4 or 1/8 at once, which is much faster. None keeps every
    pixel. Raises `UnreadableImage` naming the file.
    """
    name = path.name
    try:
        with Image.open(path, formats=FORMATS) as image:
            problem = size_problem(*image.size)
            if problem:
                raise UnreadableImage(f"The image {name} was not read: {problem}.")
            if short_side is not None:
                image.draft("RGB", (2 * short_side, 2 * short_side))
            upright = upright_rgb(image)
        factor = min(upright.size) // (2 * short_side) if short_side is not None else 1
        return upright.reduce(factor) if factor > 1 else upright
    except FileNotFoundError:
        raise UnreadableImage(f"The image {name} is no longer there; upload it again.") from None
    except PermissionError:
        raise UnreadableImage(f"The image {name} may not be read; give this program the right to.") from None
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        raise UnreadableImage(f"The image {name} is in none of the formats read here ({formats}).") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise UnreadableImage(f"The image {name} was not read: it is too large.") from None
    # Pillow's decoders raise almost anything on damaged input, struct.error and IndexError among them.
    except Exception as error:
        if isinstance(error, FieldmarkError):
            raise
        raise UnreadableImage(f"The image {name} is damaged and could not be decoded.") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as RGB, turned as its EXIF orientation says.

    Transparent parts show white. 16-bit grey is scaled from 0..65535; 32-bit integers and floats from the
    smallest of the ranges 0..1 (floats), 0..255 and 0..65535 that holds them all, else from their own minimum
    and maximum. Raises what Pillow raises on damaged data.
    """
    if image.tell():
        image.seek(0)
    image.load()
    try:
        upright = ImageOps.exif_transpose(image)
    except (ValueError, SyntaxError, TypeError, LookupError, OverflowError, EOFError, struct.error):
        # The EXIF data cannot be parsed; the pixels are sound.
        upright = image.copy()
    if upright.mode == "RGB" and "transparency" not in upright.info:
        return upright
    if upright.mode == "F" or upright.mode.startswith("I"):
        return Image.fromarray(_eight_bit(upright)).convert("RGB")
    if upright.has_transparency_data:
        seen = upright.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return upright.convert("RGB")


def _eight_bit(image: Image.Image) -> NDArray[np.uint8]:
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 65535:
        ceilings = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        low, high = 0.0, next(ceiling for ceiling in ceilings if high <= ceiling)
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    eight_bit: NDArray[np.uint8] = np.rint(scaled).clip(0, 255).astype(np.uint8)
    return eight_bit
