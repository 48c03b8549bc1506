"""Figures that compare two zero-mean Gaussian priors on the same areas.

`actual` is the covariance of the decoder and `expected` that of the process it stands for, both
`(area, area)` float64 in the same order. Each figure has a known answer when the two are equal,
named in its docstring.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg

__all__ = [
    "MeanDifference",
    "NeighbourCorrelation",
    "SdRatio",
    "bures_wasserstein",
    "covariance_error",
    "covariance_error_from_draws",
    "covariance_error_from_halves",
    "covariance_error_rows",
    "importance_fraction",
    "mean_difference",
    "neighbour_correlation",
    "proper_range",
    "sd_ratio",
    "squared_covariance_error",
]

SINGULAR = 1e-12
"""Share of the largest variance below which a direction has none in float64."""

SMALLEST_CORRELATION = 0.1
"""Below this mean neighbour correlation a ratio would be nought over nought (an alpha of 0)."""


class SdRatio(NamedTuple):
    """Marginal standard deviations, decoder over process."""

    mean: float
    """Mean ratio over the areas; 1 for equal priors."""
    worst: float
    """The ratio furthest from 1."""
    area: int
    """Position of the area that has it."""


class MeanDifference(NamedTuple):
    """Means, decoder minus process, in standard deviations of the process."""

    worst: float
    """The difference furthest from 0."""
    area: int
    """Position of the area that has it."""


class NeighbourCorrelation(NamedTuple):
    """Correlations between neighbours, decoder against process."""

    ratio: float
    """Ratio of the means over the edges; 1 for equal priors."""
    worst: float
    """Decoder minus process at the edge where they differ most."""
    edge: int
    """Position of that edge, or -1 for a graph without edges."""


def covariance_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative Frobenius error `||C - K||_F / ||K||_F`; 0 for equal priors."""
    return float(linalg.norm(actual - expected) / linalg.norm(expected))


def covariance_error_rows(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return each area's root mean square error of its row of the covariance, `(area,)`.

    The largest says where on the map a covariance error sits.
    """
    return np.sqrt(np.mean((actual - expected) ** 2, axis=1))


def covariance_error_from_draws(draws: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative Frobenius error of the covariance that draws come from.

    The plug-in error of N exact draws is about sqrt(tr(K)^2 / ||K||^2 / N), easily 5 %. This one
    is the root of `squared_covariance_error`, which has no such bias, or 0 where that is negative.

    Args:
        draws: Decoder draws `(draw, area)`.
        expected: Covariance of the process `(area, area)`.
    """
    return float(np.sqrt(max(squared_covariance_error(draws, expected), 0.0)))


def covariance_error_from_halves(
    actual: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]
) -> float:
    """Return the relative Frobenius error where both covariances are estimated.

    The root of `<S1 - T1, S2 - T2> / <T1, T2>`, or 0 where that is negative. Numerator and
    denominator are unbiased for `||C - K||^2` and `||K||^2`: S1 and S2 come from different halves
    of the decoder's draws, T1 and T2 of the process's.

    Args:
        actual: S1 and S2, `(area, area)` each.
        expected: T1 and T2.
    """
    differences = [ours - theirs for ours, theirs in zip(actual, expected, strict=True)]
    square = np.sum(differences[0] * differences[1]) / np.sum(expected[0] * expected[1])
    return float(np.sqrt(max(square, 0.0)))


def squared_covariance_error(draws: np.ndarray, expected: np.ndarray) -> float:
    """Return an unbiased estimate of `||C - K||_F^2 / ||K||_F^2`; it may be negative.

    It is `<S1 - K, S2 - K> / ||K||^2` with S1 and S2 the sample covariances of the two halves of
    the draws, which are independent and unbiased whatever the draws' distribution. Arguments as
    `covariance_error_from_draws`.
    """
    first, second = (np.cov(half, rowvar=False) for half in np.array_split(draws, 2))
    return float(np.sum((first - expected) * (second - expected)) / np.sum(expected**2))


def sd_ratio(actual: np.ndarray, expected: np.ndarray) -> SdRatio:
    """Return the ratio of marginal standard deviations `sqrt(C_ii / K_ii)`; 1 for equal priors."""
    ratios = np.sqrt(np.diag(actual) / np.diag(expected))
    area = int(np.argmax(np.abs(ratios - 1)))
    return SdRatio(float(ratios.mean()), float(ratios[area]), area)


def mean_difference(shift: np.ndarray, expected: np.ndarray) -> MeanDifference:
    """Return the largest `shift_i / sqrt(K_ii)`; 0 for equal priors.

    Args:
        shift: Mean of the decoder minus that of the process `(area,)`.
        expected: Covariance of the process `(area, area)`.
    """
    differences = shift / np.sqrt(np.diag(expected))
    area = int(np.argmax(np.abs(differences)))
    return MeanDifference(float(differences[area]), area)


def neighbour_correlation(
    actual: np.ndarray, expected: np.ndarray, edges: np.ndarray
) -> NeighbourCorrelation:
    """Return the ratio of mean correlations over the graph's edges; 1 for equal priors.

    A spatial prior that smooths too little shows here first. Where the process itself has a mean
    neighbour correlation below 0.1, the difference is taken relative to 0.1.

    Args:
        actual: Covariance of the decoder `(area, area)`.
        expected: Covariance of the process `(area, area)`.
        edges: Neighbours as pairs of positions `(edge, 2)`.
    """
    if len(edges) == 0:
        return NeighbourCorrelation(1.0, 0.0, -1)
    ours, theirs = (_edge_correlations(matrix, edges) for matrix in (actual, expected))
    scale = max(abs(theirs.mean()), SMALLEST_CORRELATION)
    edge = int(np.argmax(np.abs(ours - theirs)))
    ratio = 1 + (ours.mean() - theirs.mean()) / scale
    return NeighbourCorrelation(float(ratio), float(ours[edge] - theirs[edge]), edge)


def _edge_correlations(covariance: np.ndarray, edges: np.ndarray) -> np.ndarray:
    i, j = edges.T
    variance = np.diag(covariance)
    scale = np.sqrt(variance[i] * variance[j])
    # An area that the decoder holds constant correlates with nothing.
    return np.divide(covariance[i, j], scale, out=np.zeros(len(edges)), where=scale > 0)


def bures_wasserstein(
    actual: np.ndarray, expected: np.ndarray, mean: np.ndarray | None = None
) -> float:
    """Return the squared 2-Wasserstein distance of two Gaussians over tr K; 0 for equal priors.

    `W2^2 = |m|^2 + tr C + tr K - 2 tr (K^1/2 C K^1/2)^1/2` (Gelbrich 1990), a lower bound where
    one of the two is not Gaussian. Frobenius errors barely see the small eigenvalues; this does.

    Args:
        actual: Covariance of the decoder `(area, area)`.
        expected: Covariance of the process `(area, area)`.
        mean: Mean of the decoder `(area,)` where it is not zero.
    """
    root = _symmetric_root(expected)
    # The nuclear norm of K^1/2 C^1/2 loses half as many digits as the root of the product.
    overlap = linalg.svdvals(root @ _symmetric_root(actual)).sum()
    shift = 0.0 if mean is None else float(mean @ mean)
    distance = shift + np.trace(actual) + np.trace(expected) - 2 * overlap
    return float(max(distance, 0.0) / np.trace(expected))


def _symmetric_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def importance_fraction(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the effective fraction of importance weights decoder -> process; 1 for equal priors.

    With w = N(f; 0, K) / N(f; 0, C) and f ~ N(0, C) the fraction is `E[w]^2 / E[w^2]` (Kong
    1992). Over the eigenvalues v of K^-1 C it is `prod sqrt(2 v - 1) / v`, and 0 where some
    `v <= 1/2`, because E[w^2] is then infinite.

    Args:
        actual: Covariance of the decoder `(area, area)`, singular if it has too few latents.
        expected: Covariance of the process `(area, area)`. If it is singular (an ICAR, whose
            components sum to zero) both are compared within its range: what the decoder draws
            outside it shows in the Bures-Wasserstein distance.
    """
    basis = proper_range(expected)
    if basis is not None:
        actual, expected = basis.T @ actual @ basis, basis.T @ expected @ basis
    ratios = linalg.eigh(actual, expected, eigvals_only=True)
    if ratios.min() <= 0.5:
        return 0.0
    return float(np.exp(np.sum(0.5 * np.log(2 * ratios - 1) - np.log(ratios))))


def proper_range(covariance: np.ndarray) -> np.ndarray | None:
    """Return an orthonormal basis of the range, or None where the covariance is regular."""
    try:
        pivots = np.diag(linalg.cholesky(covariance)) ** 2
        if pivots.min() > SINGULAR * np.diag(covariance).max():
            return None
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(covariance)
    return vectors[:, values > SINGULAR * values[-1]]
