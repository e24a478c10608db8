"""Duplicate groups against a comparison of every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldmark.core.pictures.duplicates import duplicate_groups

CENTRES = [bytes(np.random.default_rng(seed).integers(0, 256, 32, dtype=np.uint8)) for seed in range(3)] + [
    bytes(32)
]


def flipped(centre: bytes, places: set[int]) -> str:
    number = int.from_bytes(centre)
    for place in places:
        number ^= 1 << place
    return number.to_bytes(32).hex()


def by_hand(sha256s: list[str], hashes: list[str | None], distance: int) -> list[int]:
    groups = list(range(len(sha256s)))
    numbers = [None if text is None else int(text, 16) for text in hashes]
    for i in range(len(groups)):
        for j in range(i):
            a, b = numbers[i], numbers[j]
            near = a is not None and b is not None and (a ^ b).bit_count() <= distance
            if near or sha256s[i] == sha256s[j]:
                old, new = groups[i], groups[j]
                groups = [new if group == old else group for group in groups]
    order = list(dict.fromkeys(groups))
    return [order.index(group) for group in groups]


places = st.sets(st.integers(0, 255), max_size=20)
hashes = st.none() | st.builds(flipped, st.sampled_from(CENTRES), places)
images = st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrst"), hashes), max_size=40)


@given(images, st.sampled_from([0, 1, 5, 12, 30, 255]))
@settings(deadline=None)
def test_groups_equal_those_of_comparing_every_pair(
    rows: list[tuple[str, str | None]], distance: int
) -> None:
    sha256s, phashes = [sha for sha, _ in rows], [phash for _, phash in rows]
    assert duplicate_groups(sha256s, phashes, distance).tolist() == by_hand(sha256s, phashes, distance)


def clouds(count: int, size: int, flips: float, seed: int) -> np.ndarray:
    """uint8 [count * size, 256]: bits around `count` random centres."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.random((count, 256)) < 0.5, size, axis=0)
    return (centres ^ (rng.random((count * size, 256)) < flips)).astype(np.uint8)


def partition_of(bits: np.ndarray, distance: int) -> list[int]:
    """Groups by a full distance matrix and a flood fill."""
    signs = bits.astype(np.float32) * 2 - 1
    near = (256 - signs @ signs.T) / 2 <= distance
    groups, number = np.full(len(bits), -1), 0
    for row in range(len(bits)):
        if groups[row] == -1:
            front = np.zeros(len(bits), dtype=bool)
            front[row] = True
            while front.any():
                groups[front] = number
                front = near[front].any(axis=0) & (groups == -1)
            number += 1
    return groups.tolist()


@pytest.mark.parametrize(
    "bits",
    [
        clouds(3000, 1, 0.0, 0),
        clouds(300, 10, 0.02, 1),
        clouds(1, 3000, 0.015, 2),
        clouds(1, 3000, 0.04, 3),
        clouds(2, 2500, 0.06, 4),
        (np.random.default_rng(5).random((3000, 256)) < 0.05).astype(np.uint8),
    ],
    ids=[
        "all different",
        "small groups",
        "one group",
        "one loose group",
        "all alone, close together",
        "mostly zeros",
    ],
)
def test_large_sets_equal_a_full_distance_matrix(bits: np.ndarray) -> None:
    phashes = [row.tobytes().hex() for row in np.packbits(bits, axis=1)]
    found = duplicate_groups([str(i) for i in range(len(bits))], phashes, 12)
    assert found.dtype == np.int64
    assert found.tolist() == partition_of(bits, 12)


def test_many_equal_hashes_are_one_group() -> None:
    same = "0f" * 32
    assert duplicate_groups([str(i) for i in range(200_000)], [same] * 200_000).max() == 0


def test_no_images_have_no_groups() -> None:
    assert duplicate_groups([], []).shape == (0,)


def test_images_without_a_hash_are_linked_by_content_only() -> None:
    assert duplicate_groups(["a", "b", "a", "c"], [None] * 4).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("sha256s", "phashes", "distance", "says"),
    [
        (["a"], [], 12, "1 checksums but 0 perceptual hashes"),
        (["a"], ["00"], 12, "64 hex digits"),
        (["a"], ["zz" * 32], 12, "64 hex digits"),
        (["a", "b"], ["0" * 63, "0" * 65], 12, "64 hex digits"),
        (["a"], [None], 256, "not in 0..255"),
        (["a"], [None], -1, "not in 0..255"),
    ],
)
def test_wrong_calls_are_refused(
    sha256s: list[str], phashes: list[str | None], distance: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        duplicate_groups(sha256s, phashes, distance)
