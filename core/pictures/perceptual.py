"""A fingerprint of what a picture looks like, equal or nearly so for copies that were re-saved or resized."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
LOW = 16
BITS = LOW * LOW
NEAR = 12
"""Largest Hamming distance (bits of `BITS`) at which two pictures count as copies of each other."""
SIGNIFICANT = 4.0
FEWEST_SIGNIFICANT = 32


def perceptual_hash(image: Image.Image) -> str | None:
    """Return 256 bits as 64 hex digits that say where the picture is rough and where it is smooth.

    The lowest 16 x 16 coefficients of the cosine transform of its 64 x 64 grey version (aspect ignored), each
    compared with their median; the brightness coefficient is left out, so its bit is 0. Feed upright RGB or
    grey pixels. None for a picture with too little in it, such as a blank page or a smooth ramp: such pictures
    resemble each other without being copies.
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    cosines = _cosines()
    spectrum = cosines @ np.asarray(grey, dtype=np.float64) @ cosines.T
    waves = spectrum.ravel()[1:]
    if np.count_nonzero(np.abs(waves) > SIGNIFICANT) < FEWEST_SIGNIFICANT:
        return None
    # Rounded so that coefficients that are zero but for arithmetic dust fall on the same side everywhere.
    waves = np.round(waves, 3)
    bits = np.concatenate(([False], waves > np.median(waves)))
    return np.packbits(bits).tobytes().hex()


@cache
def _cosines() -> NDArray[np.float64]:
    """Return the first `LOW` rows of the orthonormal cosine transform (DCT-II) of length `SIDE`."""
    waves = np.arange(LOW)[:, None]
    places = np.arange(SIDE)[None, :] + 0.5
    rows: NDArray[np.float64] = np.cos(np.pi / SIDE * waves * places) * np.sqrt(2.0 / SIDE)
    rows[0] /= np.sqrt(2.0)
    return rows
