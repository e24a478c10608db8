"""The process that decodes what strangers sent: `python -P -m fieldmark.core.pictures.decode_child CPU_SECONDS MEMORY_BYTES`.

It reads one JSON line per image on its standard input and answers with one on its standard output. It limits
itself before the first image, so that a hostile file can cost no more than this process. `core/decoding.py` is
its only caller.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import resource
import struct
import sys
import time
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from fieldmark.core.pictures.kinds import kind_of
from fieldmark.core.pictures.perceptual import perceptual_hash
from fieldmark.core.pictures.pixels import MAX_PIXELS, size_problem, upright_rgb

THUMBNAIL_SIDE = 256
_ORIENTATION = 0x0112
_LARGEST_WRITTEN = 16 << 20
_OPEN_FILES = 64
_WELCOME = "JPEG, PNG, WebP, GIF, BMP, TIFF"
_HEIF = re.compile(rb"....ftyp(heic|heix|heim|heis|hevc|mif1|msf1|avif|avis)", re.DOTALL)
_DAMAGE = (
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    OSError,
    struct.error,
)
"""What Pillow raises on damaged data."""


class Refusal(Exception):
    """Why an image is not taken; the text follows the image's name in a sentence."""


def main() -> None:
    """Answer until the input ends."""
    cpu_seconds, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    # A library that prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    os.nice(10)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _LARGEST_WRITTEN)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_AS, memory_bytes)
    Image.init()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    answers.write(b'{"ready": true}\n')
    for line in sys.stdin.buffer:
        job = json.loads(line)
        _limit_processor_time(cpu_seconds)
        answers.write(
            json.dumps(_answer(Path(job["path"]), Path(job["thumbnail"]), memory_bytes)).encode() + b"\n"
        )


def _limit(what: int, value: int) -> None:
    # Some systems know a limit but refuse to set it; the others still hold.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (value, value))


def _limit_processor_time(seconds: int) -> None:
    allowed = math.ceil(time.process_time()) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


def _answer(path: Path, thumbnail: Path, memory_bytes: int) -> dict[str, Any]:
    try:
        return _decode(path, thumbnail)
    except Refusal as refusal:
        return {"refused": str(refusal)}
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return {"refused": _too_many_pixels(str(error))}
    except Exception as error:  # noqa: BLE001 - Pillow raises almost anything on damaged input
        return {"refused": _reason(error, memory_bytes)}


def _too_many_pixels(message: str) -> str:
    count = re.search(r"\((\d+) pixels\)", message)
    size = f"{int(count[1]) / 1e6:.0f}" if count else f"more than {MAX_PIXELS // 1_000_000}"
    return f"would be {size} megapixels; at most {MAX_PIXELS // 1_000_000} are read"


def _reason(error: Exception, memory_bytes: int) -> str:
    text = str(error).lower()
    if isinstance(error, MemoryError) or "memory" in text:
        return f"needs more than {memory_bytes / 2**30:.3g} GiB of memory to decode"
    if isinstance(error, OSError) and error.errno is not None:
        return f"can't be read from the disk ({error.strerror})"
    if isinstance(error, EOFError) or "truncated" in text or "not large enough" in text:
        return "is cut off: the file ends before the picture does; upload a complete copy"
    return "is damaged or cut off and can't be decoded; upload a sound copy"


def _decode(path: Path, thumbnail: Path) -> dict[str, Any]:
    kind = _format(path)
    with Image.open(path, formats=(kind,)) as image:
        problem = size_problem(*image.size)
        if problem:
            raise Refusal(f"has a size that is not read: {problem}")
        frames = _walked(path, kind) if kind in ("GIF", "TIFF") else int(getattr(image, "n_frames", 1))
        width, height = image.size
        mode = image.mode
        deep = ";16" in str([tile[3] for tile in image.tile])
        image.load()
        orientation = _exif_orientation(image)
        profile = image.info.get("icc_profile") if mode == "RGB" else None
        small, transparent = _small(image, orientation)
    phash = perceptual_hash(small)
    _write(_srgb(small, profile), thumbnail)
    if orientation >= 5:
        width, height = height, width
    return {
        "width": width,
        "height": height,
        "format": kind,
        "orientation": orientation,
        "frames": frames,
        "mode": mode,
        "phash": phash,
        "notes": _notes(kind, frames, mode, deep, orientation, transparent),
    }


def _format(path: Path) -> str:
    """Return Pillow's name for what the first bytes say it is, whatever the file is called."""
    with path.open("rb") as file:
        head = file.read(32)
    if not head:
        raise Refusal("is empty (0 bytes)")
    kind = kind_of(head)
    if kind:
        return kind
    if _HEIF.match(head):
        raise Refusal(f"is a HEIC or AVIF picture, which is not read; save it as one of {_WELCOME}")
    raise Refusal(f"is not an image Fieldmark reads ({_WELCOME})")


def _walked(path: Path, kind: str) -> int:
    """Count the frames by walking through a second opening of the file, because that moves the reader."""
    with Image.open(path, formats=(kind,)) as image:
        try:
            return int(getattr(image, "n_frames", 1))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise
        except _DAMAGE:  # in a later frame; only the first one is used
            return 1


def _exif_orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:  # in the EXIF data; upright_rgb takes the pixels as they lie, too
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _small(image: Image.Image, orientation: int) -> tuple[Image.Image, bool]:
    """Return the thumbnail's pixels, upright RGB, and whether any part of the picture is transparent.

    Made small first and then turned and converted, which needs a fraction of the memory and time.
    """
    seen = image
    if image.mode in ("1", "P", "PA") or "transparency" in image.info:
        seen = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if orientation != 1:
            seen.getexif()[_ORIENTATION] = orientation
    # The brightness of 32-bit pixels depends on all of them, so these are converted at full size.
    if seen.mode not in ("I", "F"):
        _shrink(seen)
    transparent = seen.mode in ("LA", "RGBA") and seen.getchannel("A").histogram()[255] < math.prod(seen.size)
    upright = upright_rgb(seen)
    _shrink(upright)
    return upright, transparent


def _shrink(image: Image.Image) -> None:
    # Pillow reduces no 16-bit pixels, though it resizes them.
    gap = None if image.mode.startswith("I;16") else 1.0
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC, reducing_gap=gap)


def _srgb(small: Image.Image, profile: object) -> Image.Image:
    """Return the pixels in the colours a browser expects of a picture without a profile."""
    if not isinstance(profile, bytes):
        return small
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return small
        return ImageCms.profileToProfile(small, source, ImageCms.createProfile("sRGB")) or small
    except (ImageCms.PyCMSError, OSError, ValueError):  # a profile that makes no sense; the pixels are sound
        return small


def _write(small: Image.Image, thumbnail: Path) -> None:
    """Write a thumbnail that is whole or not there. Not fsynced: whoever moves it to its place does that."""
    small.info.clear()
    temporary = thumbnail.with_name(f".{thumbnail.name[:80]}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            small.save(file, "JPEG", quality=85)
        os.replace(temporary, thumbnail)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = error.strerror or "the disk refused it"
        raise Refusal(f"can't be stored: its thumbnail could not be written ({why})") from error


def _notes(kind: str, frames: int, mode: str, deep: bool, orientation: int, transparent: bool) -> list[str]:
    notes = []
    if frames > 1 and kind in ("GIF", "WEBP", "PNG"):
        notes.append(f"animated: the first of {frames} frames is used")
    elif frames > 1:
        notes.append(f"several pictures in one file: the first of {frames} is used")
    if deep or mode.startswith("I;16"):
        notes.append("16-bit: reduced to 8 bits")
    elif mode in ("I", "F"):
        notes.append("32-bit: reduced to 8 bits")
    if mode in ("CMYK", "LAB"):
        notes.append(f"{mode}: converted to RGB")
    if orientation != 1:
        notes.append("turned upright by its EXIF orientation")
    if transparent:
        notes.append("transparent: placed on white")
    return notes


if __name__ == "__main__":
    main()
