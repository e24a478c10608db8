"""Images that are copies of each other, so that no split tears them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fieldmark.core.pictures.perceptual import BITS, NEAR

_PAIRS_AT_ONCE = 1 << 20
_LARGE = 2048
"""Rows in a bucket from which it is compared block against rest instead of pair by pair."""

_Numbers: TypeAlias = NDArray[np.int64]
_Words: TypeAlias = NDArray[np.uint64]


def duplicate_groups(
    sha256s: Sequence[str], hashes: Sequence[str | None], distance: int = NEAR
) -> NDArray[np.int64]:
    """Return int64 [n]: the group of each image, 0, 1, 2 ... in order of first appearance.

    Images of one group have the same sha256, perceptual hashes (`perceptual_hash`) at most `distance` bits
    apart, or are linked by a chain of such pairs. An image whose hash is None is linked by its sha256 only.
    Raises ValueError when the two sequences differ in length, `distance` is not in 0..255, or a hash is not
    64 hex digits.
    """
    if len(sha256s) != len(hashes):
        raise ValueError(f"{len(sha256s)} checksums but {len(hashes)} perceptual hashes")
    if not 0 <= distance < BITS:
        raise ValueError(f"a distance of {distance} bits is not in 0..{BITS - 1}")
    distinct: dict[str, int] = {}
    seen: dict[str, int] = {}
    same: list[tuple[int, int]] = []
    for row, (sha256, phash) in enumerate(zip(sha256s, hashes, strict=True)):
        same.append((row, seen.setdefault(sha256, row)))
        if phash is not None:
            same.append((row, distinct.setdefault(phash.lower(), row)))
    groups = np.arange(len(sha256s), dtype=np.int64)
    pairs = np.array(same, dtype=np.int64).reshape(-1, 2)
    _join(groups, pairs[:, 0], pairs[:, 1])
    rows = np.fromiter(distinct.values(), dtype=np.int64, count=len(distinct))
    _join(groups, rows, rows[_near_groups(_bits(distinct), distance)])
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _join(groups: _Numbers, left: _Numbers, right: _Numbers) -> None:
    """Join the groups of each pair of rows in place; a group is known by its first row."""
    while True:
        a, b = groups[left], groups[right]
        torn = a != b
        if not torn.any():
            return
        left, right, a, b = left[torn], right[torn], a[torn], b[torn]
        np.minimum.at(groups, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(firsts := groups[groups], groups):
            groups[:] = firsts


def _bits(hashes: dict[str, int]) -> NDArray[np.uint8]:
    """Return uint8 [n, BITS] of zeros and ones."""
    try:
        joined = bytes.fromhex("".join(hashes))
    except ValueError:
        joined = b""
    if any(len(text) != BITS // 4 for text in hashes) or len(joined) != len(hashes) * BITS // 8:
        raise ValueError(f"a perceptual hash is {BITS // 4} hex digits")
    return np.unpackbits(np.frombuffer(joined, dtype=np.uint8)).reshape(-1, BITS)


def _near_groups(bits: NDArray[np.uint8], distance: int) -> _Numbers:
    """Return int64 [n]: the first row that each row of bits is linked to by steps of at most `distance`."""
    size = len(bits)
    groups = np.arange(size, dtype=np.int64)
    if size < 2:
        return groups
    # The bits that differ most between pictures come first, so that the first word settles most pairs.
    order = np.argsort(np.abs(bits.mean(axis=0) - 0.5), kind="stable")
    bits = np.ascontiguousarray(bits[:, order])
    words: _Words = np.packbits(bits, axis=1).view(np.uint64).T.copy()
    # Of distance + 1 bands of bits, two near rows agree on at least one. A band takes every so many-th bit, so
    # that each gets its share of those that differ most.
    bands = [_numbered(bits[:, band :: distance + 1]) for band in range(distance + 1)]
    candidates = sum(_pair_count(np.bincount(numbers)) for numbers in bands)
    if candidates >= size * (size - 1) // 2:
        bands = [np.zeros(size, dtype=np.int64)]
    for numbers in bands:
        _join_band(groups, words, numbers, distance)
    return groups


def _numbered(band: NDArray[np.uint8]) -> _Numbers:
    """Return int64 [n]: equal numbers where rows of the band are equal."""
    rows = np.ascontiguousarray(np.packbits(band, axis=1))
    keys = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _pair_count(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _join_band(groups: _Numbers, words: _Words, numbers: _Numbers, distance: int) -> None:
    """Join the near ones among rows that are alike in one band, `numbers` saying which are."""
    sizes = np.bincount(numbers)
    ends = np.cumsum(sizes)
    order = np.argsort(numbers, kind="stable")
    for bucket in np.flatnonzero(sizes > _LARGE):
        _join_bucket(groups, words, order[ends[bucket] - sizes[bucket] : ends[bucket]], distance)
    rows = np.flatnonzero(sizes[numbers] <= _LARGE)
    for left, right in _pairs_alike(numbers[rows]):
        _join_near(groups, words, rows[left], rows[right], distance)


def _join_near(groups: _Numbers, words: _Words, left: _Numbers, right: _Numbers, distance: int) -> None:
    """Join those of the pairs that are near."""
    apart = np.zeros(len(left), dtype=np.uint16)
    for word in words:
        apart += np.bitwise_count(word[left] ^ word[right])
        near = apart <= distance
        left, right, apart = left[near], right[near], apart[near]
    _join(groups, left, right)


def _join_bucket(groups: _Numbers, words: _Words, rows: _Numbers, distance: int) -> None:
    """Join the near ones among many rows; pairs that are together already cost next to nothing."""
    first_word = words[0, rows]
    block = max(1, _PAIRS_AT_ONCE // len(rows))
    for start in range(0, len(rows), block):
        known = groups[rows[start:]]
        if (known == known[0]).all():
            return
        apart = np.bitwise_count(first_word[start : start + block, None] ^ first_word[None, start:])
        possible = (apart <= distance) & (known[:block, None] != known[None, :])
        left, right = np.nonzero(possible)
        _join_near(groups, words, rows[start + left], rows[start + right], distance)


def _pairs_alike(numbers: _Numbers) -> Iterator[tuple[_Numbers, _Numbers]]:
    """Yield every pair of rows of equal number, about `_PAIRS_AT_ONCE` at a time."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    # For each row, how many later ones of the order are in the same bucket.
    partners = np.searchsorted(ordered, ordered, side="right") - np.arange(len(order)) - 1
    totals = np.cumsum(partners)
    start = 0
    while start < len(order):
        before = int(totals[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(totals, before + _PAIRS_AT_ONCE, side="right")))
        counts = partners[start:stop]
        firsts = np.repeat(np.arange(start, stop), counts)
        places = np.arange(len(firsts)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield order[firsts], order[firsts + 1 + places]
        start = stop
