"""Numbers of things as a sentence says them."""

from __future__ import annotations


def counted(number: int, one: str) -> str:
    """Return '1 image' or '2,000 images'."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"
