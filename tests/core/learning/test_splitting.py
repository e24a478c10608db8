"""Splits and folds: groups whole, labels in proportion, nothing left untrained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fieldmark.core.learning.splitting import folds, stratified_split
from fieldmark.storage.errors import FieldmarkError

Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]


@st.composite
def data_sets(draw: st.DrawFn) -> Rows:
    rows, labels = draw(st.integers(1, 60)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    if draw(st.booleans()):
        targets = np.eye(labels, dtype=np.uint8)[rng.integers(0, labels, rows)]
    else:
        targets = (rng.random((rows, labels)) < 0.4).astype(np.uint8)
    return targets, rng.integers(-5, draw(st.integers(1, 80)), rows)


def _single(counts: list[int]) -> NDArray[np.uint8]:
    return np.repeat(np.eye(len(counts), dtype=np.uint8), counts, axis=0)


def _torn(groups: NDArray[np.int64], sides: NDArray[np.generic]) -> bool:
    return any(len(set(sides[groups == group].tolist())) > 1 for group in np.unique(groups))


@given(data_sets(), st.floats(0, 0.95), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_split_keeps_groups_whole_and_every_label_in_training(rows: Rows, fraction: float, seed: int) -> None:
    targets, groups = rows
    validation = stratified_split(targets, groups, fraction, seed)
    assert validation.dtype == np.bool_ and validation.shape == groups.shape
    assert not _torn(groups, validation)
    assert (targets[~validation].sum(axis=0)[targets.any(axis=0)] >= 1).all()
    assert np.array_equal(validation, stratified_split(targets, groups, fraction, seed))


@given(data_sets(), st.integers(2, 5))
@settings(max_examples=100, deadline=None)
def test_folds_keep_groups_whole_and_use_every_fold(rows: Rows, k: int) -> None:
    targets, groups = rows
    if len(np.unique(groups)) < k:
        with pytest.raises(FieldmarkError, match=f"can't make {k} folds"):
            folds(targets, groups, k)
        return
    fold = folds(targets, groups, k)
    assert not _torn(groups, fold)
    assert fold.min() >= 0 and fold.max() < k
    assert np.array_equal(fold, folds(targets, groups, k))


def test_each_label_gives_its_exact_share_where_that_is_possible() -> None:
    targets = _single([45, 10, 5])
    validation = stratified_split(targets, np.arange(60), 0.2)
    assert targets[validation].sum(axis=0).tolist() == [9, 2, 1]


def test_small_labels_add_up_to_the_fraction() -> None:
    targets = _single([3] * 10)
    assert stratified_split(targets, np.arange(30), 0.2).sum() == 6


def test_large_groups_come_as_near_as_they_allow() -> None:
    groups = np.repeat(np.arange(10), 10)
    targets = _single([50, 50])
    validation = stratified_split(targets, groups, 0.2)
    assert targets[validation].sum(axis=0).tolist() == [10, 10]


def test_a_label_with_one_image_stays_in_training() -> None:
    targets = _single([1, 20])
    assert not stratified_split(targets, np.arange(21), 0.9)[0]


def test_multi_label_shares_hold_for_every_label_and_for_images_without_one() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((2_000, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.02]).astype(np.uint8)
    validation = stratified_split(targets, rng.integers(0, 1_500, 2_000), 0.2)
    assert abs(validation.mean() - 0.2) < 0.005
    shares = targets[validation].sum(axis=0) / targets.sum(axis=0)
    assert (abs(shares - 0.2) < 0.03).all()
    bare = ~targets.any(axis=1)
    assert abs(validation[bare].mean() - 0.2) < 0.02


def test_folds_have_like_sizes_and_like_labels() -> None:
    targets = _single([100, 33, 7])
    fold = folds(targets, np.arange(140), 5)
    assert np.bincount(fold).tolist() == [28] * 5
    for number in range(5):
        counts = targets[fold == number].sum(axis=0)
        assert counts[0] == 20 and counts[1] in (6, 7) and counts[2] in (1, 2)


def test_another_seed_gives_another_split() -> None:
    targets, groups = _single([50, 50]), np.arange(100)
    assert not np.array_equal(
        stratified_split(targets, groups, 0.2, 1), stratified_split(targets, groups, 0.2, 2)
    )


def test_a_million_images_hold_every_share() -> None:
    rng = np.random.default_rng(0)
    targets = np.eye(20, dtype=np.uint8)[rng.integers(0, 20, 1_000_000)]
    groups = rng.integers(0, 800_000, 1_000_000)
    validation = stratified_split(targets, groups, 0.2)
    shares = targets[validation].sum(axis=0) / targets.sum(axis=0)
    assert abs(shares - 0.2).max() < 0.001


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_an_impossible_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(FieldmarkError, match="validation share"):
        stratified_split(_single([2, 2]), np.arange(4), fraction)


def test_no_images_give_an_empty_split() -> None:
    nothing = np.zeros((0, 3), dtype=np.uint8), np.zeros(0, dtype=np.int64)
    assert stratified_split(*nothing, 0.2).shape == (0,)
