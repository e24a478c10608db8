"""The kinds of image that are welcome, told by their first bytes, never by a name."""

from __future__ import annotations

import re

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that Pillow may open; MPO arrives as JPEG."""
_BEGINNINGS = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"BM"), "BMP"),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF"),
)


def kind_of(head: bytes) -> str | None:
    """Return Pillow's name for the kind of image that a file beginning with `head` is, or None."""
    return next((kind for beginning, kind in _BEGINNINGS if kind in FORMATS and beginning.match(head)), None)
