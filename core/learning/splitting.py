"""Choosing validation images: by label in the same proportions, and never through a near-duplicate group.

Groups with the same size and the same labels are interchangeable, so they are counted as one *stratum*: each
stratum gives its share, rounded down, and only the remainders are decided one by one. That keeps a million
images a matter of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.storage.errors import FieldmarkError

_PASSES = 200
_MOST_IMPROVED = 5_000
"""Strata up to which single changes are searched; with more, the greedy choice is near enough."""


@dataclass(frozen=True)
class _Strata:
    """The groups of one data set, sorted into strata."""

    group_of_row: NDArray[np.intp]
    stratum_of_group: NDArray[np.intp]
    rank_of_group: NDArray[np.intp]
    """Place of each group in the random order of its stratum."""
    sizes: NDArray[np.intp]
    """Groups in each stratum."""
    content: NDArray[np.float64]
    """[strata, labels + 2]: what one group holds: images of each label, without a label, and in all."""
    totals: NDArray[np.float64]
    """[labels + 2]: the same for all images."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """What a miss of one image costs in each column: rare labels count more, the whole as all labels."""
        weights = 1.0 / np.maximum(self.totals, 1.0)
        weights[-1] *= len(weights)
        return weights


def stratified_split(
    targets: NDArray[np.uint8], groups: NDArray[np.int64], fraction: float, seed: int = 0
) -> NDArray[np.bool_]:
    """Return bool [n], True for validation: about `fraction` of the images and of each label.

    `targets` is uint8 [n, labels] with any number of 1s in a row, `groups` int64 [n]. A group stays on one side,
    every label that occurs keeps at least one training image, and the same input and seed give the same answer.
    Raises `FieldmarkError` when the fraction is not in 0..1 (1 excluded).
    """
    if not 0.0 <= fraction < 1.0:
        raise FieldmarkError(
            f"A validation share of {fraction:g} can't be used; give a number from 0 to below 1, such as 0.2."
        )
    if len(targets) == 0 or fraction == 0.0:
        return np.zeros(len(targets), dtype=np.bool_)
    strata = _strata(targets, groups, seed)
    taken = np.floor(strata.sizes * fraction + 1e-9).astype(np.intp)
    rest = np.flatnonzero(taken < strata.sizes * fraction - 1e-9)
    taken[rest] += _rounded_up(strata, rest, taken, fraction)
    in_validation = strata.rank_of_group < taken[strata.stratum_of_group]
    return np.asarray(in_validation[strata.group_of_row], dtype=np.bool_)


def folds(targets: NDArray[np.uint8], groups: NDArray[np.int64], k: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the fold of each image, [n] in 0..k-1: like sizes, like labels, no group torn apart.

    A label with fewer than `k` groups is missing from some folds.
    Raises `FieldmarkError` for fewer than two folds or fewer groups than folds.
    """
    strata = _strata(targets, groups, seed)
    available = len(strata.stratum_of_group)
    if k < 2 or k > available:
        raise FieldmarkError(f"{available} groups of images can't make {k} folds; ask for 2 to {available}.")
    desired, weights = strata.totals / k, strata.weights
    held = np.tile((strata.sizes // k) @ strata.content, (k, 1))
    first = np.zeros((len(strata.sizes), k), dtype=np.intp)
    for stratum in _big_and_rare_first(strata, np.arange(len(strata.sizes))):
        # The remainder goes where it is missed most, so the stratum's round robin starts with those folds.
        content, left = strata.content[stratum], int(strata.sizes[stratum]) % k
        cost = ((2.0 * (held - desired) + content) * content) @ weights
        order = np.argsort(cost, kind="stable")
        first[stratum] = order
        held[order[:left]] += content
    fold_of_group = first[strata.stratum_of_group, strata.rank_of_group % k]
    return np.asarray(fold_of_group[strata.group_of_row], dtype=np.intp)


def _strata(targets: NDArray[np.uint8], groups: NDArray[np.int64], seed: int) -> _Strata:
    rng = np.random.default_rng(seed)
    on = np.asarray(targets) != 0
    _, group_of_row = np.unique(groups, return_inverse=True)
    group_count = int(group_of_row.max(initial=-1)) + 1
    # A random 64-bit number per label, summed over a group, stands for its content: equal sums, equal content.
    codes = np.random.default_rng(0).integers(1, 2**63, size=on.shape[1] + 1, dtype=np.uint64)
    row_code = np.full(len(on), codes[-1], dtype=np.uint64)
    for column in range(on.shape[1]):
        row_code += codes[column] * on[:, column]
    group_code = np.zeros(group_count, dtype=np.uint64)
    np.add.at(group_code, group_of_row, row_code)
    _, shown_by, stratum_of_group, sizes = np.unique(
        group_code, return_index=True, return_inverse=True, return_counts=True
    )
    return _Strata(
        group_of_row=group_of_row,
        stratum_of_group=stratum_of_group,
        rank_of_group=_random_ranks(stratum_of_group, sizes, rng),
        sizes=sizes,
        content=_content(on, group_of_row, shown_by, group_count),
        totals=np.concatenate([on.sum(axis=0), [(~on.any(axis=1)).sum()], [len(on)]]).astype(float),
    )


def _random_ranks(
    stratum_of_group: NDArray[np.intp], sizes: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    shuffled = rng.permutation(len(stratum_of_group))
    order = shuffled[np.argsort(stratum_of_group[shuffled], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order)) - starts[stratum_of_group[order]]
    return ranks


def _content(
    on: NDArray[np.bool_], group_of_row: NDArray[np.intp], shown_by: NDArray[np.intp], group_count: int
) -> NDArray[np.float64]:
    stratum_shown = np.full(group_count, -1)
    stratum_shown[shown_by] = np.arange(len(shown_by))
    rows = np.flatnonzero(stratum_shown[group_of_row] >= 0)
    strata, shown = stratum_shown[group_of_row[rows]], on[rows]
    content = np.zeros((len(shown_by), on.shape[1] + 2))
    row, column = np.nonzero(shown)
    np.add.at(content, (strata[row], column), 1.0)
    np.add.at(content[:, -2], strata[~shown.any(axis=1)], 1.0)
    np.add.at(content[:, -1], strata, 1.0)
    return content


def _big_and_rare_first(strata: _Strata, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    content = strata.content[chosen]
    rarest = np.where(content > 0, strata.totals, np.inf).min(axis=1)
    return chosen[np.lexsort((chosen, rarest, -content[:, -1]))]


def _rounded_up(
    strata: _Strata, rest: NDArray[np.intp], taken: NDArray[np.intp], fraction: float
) -> NDArray[np.intp]:
    """Return 1 for each stratum of `rest` that gives one group more than its share rounded down.

    Each is decided so that, of all decided so far, every label misses its share by least (weighted squares);
    then single changes are made while one helps.
    """
    labels, weights = strata.totals[:-2], strata.weights
    # A label's last training image must stay: so much may go at most, per label.
    ceiling = np.concatenate([np.where(labels > 0, labels - 1, 0), strata.totals[-2:]])
    held = taken @ strata.content
    miss = np.zeros(len(held))
    extra = np.zeros(len(strata.sizes), dtype=np.intp)
    for stratum in _big_and_rare_first(strata, rest):
        content = strata.content[stratum]
        miss -= (strata.sizes[stratum] * fraction - taken[stratum]) * content
        if ((2.0 * miss + content) * content) @ weights < 0 and (held + content <= ceiling).all():
            extra[stratum] = 1
            held = held + content
            miss += content
    for _ in range(_PASSES if 0 < len(rest) <= _MOST_IMPROVED else 0):
        sign = np.where(extra[rest] == 1, -1.0, 1.0)
        change = strata.content[rest] * sign[:, None]
        cost = ((2.0 * miss + change) * change) @ weights
        cost[(held + change > ceiling).any(axis=1)] = np.inf
        best = int(cost.argmin())
        if cost[best] > -1e-9:
            break
        extra[rest[best]] += int(sign[best])
        held, miss = held + change[best], miss + change[best]
    return extra[rest]
