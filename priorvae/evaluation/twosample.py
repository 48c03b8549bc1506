"""Two-sample tests: do two sets of draws come from one distribution?

A draw is a row: distances are between whole fields `(area,)`, never between areas.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "FieldTests",
    "PermutationTest",
    "compare_fields",
    "kolmogorov_smirnov",
    "wasserstein",
]


ENOUGH = 20
"""Permutations as large as the observed distance after which a p-value needs no more of them."""

BATCH = 100
"""Permutations evaluated in one matrix product."""


class PermutationTest(NamedTuple):
    """A distance between two samples, and how often chance alone gives as much."""

    statistic: float
    """The distance."""
    pvalue: float
    """Share of permutations with as large a distance: uniform under the null."""
    null: float
    """The 95 % point of the distance under the null."""


class FieldTests(NamedTuple):
    """Two tests of one pair of samples of fields."""

    mmd: PermutationTest
    """Unbiased squared maximum mean discrepancy."""
    energy: PermutationTest
    """Energy distance."""


def compare_fields(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, num_permutations: int = 999
) -> FieldTests:
    """Test two samples of fields by maximum mean discrepancy and by energy distance.

    Both are U-statistics `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)` over distinct pairs, so
    that they have mean 0 under the null and may be negative:

    - MMD^2 (Gretton et al. 2012, JMLR 13, eq. 3) has k(a, b) = exp(-|a - b|^2 / 2 m^2), with m
      the median distance of the pooled draws;
    - the energy distance (Szekely and Rizzo 2013, J. Stat. Plan. Inference 143) has
      k(a, b) = -|a - b| and needs no bandwidth.

    Args:
        first: Draws `(draw, area)`.
        second: Draws `(draw, area)`, independent of the first.
        rng: Generator of the permutations.
        num_permutations: Largest number of relabellings that make the null.
    """
    distances = _pooled_distances(first, second)
    median = np.median(distances[np.triu_indices(len(distances), 1)])
    kernel = np.exp(-0.5 * (distances / max(median, np.finfo(float).tiny)) ** 2)
    return FieldTests(
        mmd=_pairwise_test(kernel, len(first), rng, num_permutations),
        energy=_pairwise_test(-distances, len(first), rng, num_permutations),
    )


def _pooled_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    pooled = np.concatenate([first, second])
    squares = np.sum(pooled**2, axis=1)
    # One matrix product; scipy's cdist is many times slower for long fields.
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * pooled @ pooled.T, 0.0))


def _pairwise_test(
    kernel: np.ndarray, num_first: int, rng: np.random.Generator, num_permutations: int
) -> PermutationTest:
    """Permute the labels of a U-statistic of a kernel matrix, diagonal left out.

    Stops early once enough permutations were as large as what was observed (Besag and Clifford
    1991, Biometrika 78): where there is nothing to find, a hundred or two are enough.
    """
    off_diagonal = kernel - np.diag(np.diag(kernel))
    labels = np.zeros((1, len(kernel)))
    labels[:, :num_first] = 1.0
    observed = float(_pairwise_statistics(off_diagonal, labels)[0])
    null = np.empty(0)
    while len(null) < num_permutations and _count_as_large(null, observed) < ENOUGH:
        batch = np.tile(labels, (min(BATCH, num_permutations - len(null)), 1))
        batch = rng.permuted(batch, axis=1)
        null = np.concatenate([null, _pairwise_statistics(off_diagonal, batch)])
    return PermutationTest(observed, _pvalue(null, observed), float(np.quantile(null, 0.95)))


def _pairwise_statistics(off_diagonal: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the U-statistic under each row of labels, 1 for the first sample."""
    num_first = int(labels[0].sum())
    num_second = labels.shape[1] - num_first
    rows = off_diagonal.sum(axis=1)
    within_first = np.einsum("pi,pi->p", labels @ off_diagonal, labels)
    first_to_all = labels @ rows
    between = first_to_all - within_first
    within_second = rows.sum() - first_to_all - between
    return (
        within_first / (num_first * (num_first - 1))
        + within_second / (num_second * (num_second - 1))
        - 2 * between / (num_first * num_second)
    )


def wasserstein(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, num_permutations: int = 999
) -> PermutationTest:
    """Test two samples of a scalar by their 1-Wasserstein distance `integral |F - G|`.

    Args:
        first: Independent draws `(draw,)`.
        second: Independent draws `(draw,)`.
        rng: Generator of the permutations.
        num_permutations: Largest number of relabellings that make the null.
    """
    gaps, widths = _cdf_gaps(first, second, rng, num_permutations)
    return _judge(np.abs(gaps[:, :-1]) @ widths)


def kolmogorov_smirnov(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, num_permutations: int = 999
) -> PermutationTest:
    """Test two samples of a scalar by `max |F - G|`. Arguments as `wasserstein`."""
    gaps, _ = _cdf_gaps(first, second, rng, num_permutations)
    return _judge(np.abs(gaps).max(axis=1))


def _cdf_gaps(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, num_permutations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return F - G at the pooled draws for every relabelling, and the pooled draws' spacings."""
    pooled = np.concatenate([first, second])
    order = np.argsort(pooled, kind="stable")
    steps = np.r_[np.full(len(first), 1 / len(first)), np.full(len(second), -1 / len(second))]
    steps = np.tile(steps[order], (num_permutations + 1, 1))
    steps[1:] = rng.permuted(steps[1:], axis=1)
    return np.cumsum(steps, axis=1), np.diff(pooled[order])


def _judge(statistics: np.ndarray) -> PermutationTest:
    """Compare the first statistic with the rest, which are its null."""
    observed, null = float(statistics[0]), statistics[1:]
    return PermutationTest(observed, _pvalue(null, observed), float(np.quantile(null, 0.95)))


def _as_large(null: np.ndarray, observed: float) -> np.ndarray:
    # Rounding must not make an identical relabelling look smaller than what was observed.
    return null >= observed - 1e-12 * abs(observed)


def _count_as_large(null: np.ndarray, observed: float) -> int:
    return int(np.count_nonzero(_as_large(null, observed)))


def _pvalue(null: np.ndarray, observed: float) -> float:
    """Return Besag and Clifford's p-value: exact, however many permutations were drawn."""
    as_large = np.flatnonzero(_as_large(null, observed))
    if len(as_large) >= ENOUGH:
        return float(ENOUGH / (as_large[ENOUGH - 1] + 1))
    return float((1 + len(as_large)) / (1 + len(null)))
