"""First two moments of a distribution over fields, and the figures that compare two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from priorvae.evaluation import metrics

__all__ = ["Moments", "compare_moments"]


class Moments(NamedTuple):
    """First two moments at one value of the hyperparameters."""

    covariance: np.ndarray
    """Covariance `(area, area)` in float64."""
    mean: np.ndarray | None
    """Mean `(area,)` where it is estimated; None where it is zero by construction."""
    draws: np.ndarray | None
    """Draws `(draw, area)` the moments come from; None where they are analytic."""

    @classmethod
    def exact(cls, covariance: np.ndarray) -> Self:
        """Return analytic moments with mean zero."""
        return cls(covariance, None, None)

    @classmethod
    def of(cls, draws: np.ndarray) -> Self:
        """Estimate the moments from draws `(draw, area)`."""
        return cls(np.cov(draws, rowvar=False), draws.mean(axis=0), draws)

    def halves(self) -> tuple[Moments, Moments]:
        """Return the moments of either half of the draws, or twice the analytic ones."""
        if self.draws is None:
            return self, self
        first, second = np.array_split(self.draws, 2)
        return Moments.of(first), Moments.of(second)

    def resampled(self, rng: np.random.Generator) -> Moments:
        """Return the moments of as many draws, drawn anew from among these (the bootstrap)."""
        assert self.draws is not None
        return Moments.of(self.draws[rng.integers(len(self.draws), size=len(self.draws))])


def compare_moments(
    actual: Moments, expected: Moments, edges: np.ndarray, sites: Sequence[str]
) -> dict[str, Any]:
    """Return the figures that need only the moments of decoder and process, by field name.

    Where the process's own moments come from draws, the covariance error and the worst area are
    taken from halves of the draws, so that chance does not add to them.

    Args:
        actual: Of the decoder.
        expected: Of the process.
        edges: Neighbours as pairs of positions `(edge, 2)`.
        sites: Names of a field's values.
    """
    ours, theirs = actual.covariance, expected.covariance
    neighbours = metrics.neighbour_correlation(ours, theirs, edges)
    pair = edges[neighbours.edge] if neighbours.edge >= 0 else ()
    sds = _sd_ratio(actual, expected)
    shift = _shift(actual, expected)
    return {
        "covariance_error": _covariance_error(actual, expected),
        "covariance_area": sites[int(metrics.covariance_error_rows(ours, theirs).argmax())],
        "mean_sd": sds.mean,
        "worst_sd": sds.worst,
        "worst_sd_area": sites[sds.area],
        "neighbour_correlation": neighbours.ratio,
        "worst_edge": neighbours.worst,
        "worst_edge_areas": tuple(sites[int(i)] for i in pair),
        "bures_wasserstein": metrics.bures_wasserstein(ours, theirs, shift),
        **_worst_mean(shift, theirs, sites),
    }


def _worst_mean(
    shift: np.ndarray | None, expected: np.ndarray, sites: Sequence[str]
) -> dict[str, Any]:
    """Return the largest difference of the means in the process's sds, and its site."""
    if shift is None:
        return {"worst_mean": None, "worst_mean_area": ""}
    found = metrics.mean_difference(shift, expected)
    return {"worst_mean": found.worst, "worst_mean_area": sites[found.area]}


def _shift(actual: Moments, expected: Moments) -> np.ndarray | None:
    """Return the difference of the means, or None where both are zero by construction."""
    if actual.mean is None or expected.mean is None:
        return actual.mean if expected.mean is None else expected.mean
    return actual.mean - expected.mean


def _covariance_error(actual: Moments, expected: Moments) -> float:
    if expected.draws is not None:
        pairs = [(m.covariance, n.covariance) for m, n in (actual.halves(), expected.halves())]
        return metrics.covariance_error_from_halves(*pairs)
    if actual.draws is not None:
        return metrics.covariance_error_from_draws(actual.draws, expected.covariance)
    return metrics.covariance_error(actual.covariance, expected.covariance)


def _sd_ratio(actual: Moments, expected: Moments) -> metrics.SdRatio:
    """Return the ratios of sds; the worst area is chosen and measured on different draws.

    Each half chooses an area that the other measures. Their two deviations from 1 are averaged in
    size, with the sign and the area of the larger.
    """
    whole = metrics.sd_ratio(actual.covariance, expected.covariance)
    if expected.draws is None:
        return whole
    halves = [
        np.sqrt(np.diag(ours.covariance) / np.diag(theirs.covariance)) - 1
        for ours, theirs in zip(actual.halves(), expected.halves(), strict=True)
    ]
    areas = [int(np.abs(deviations).argmax()) for deviations in halves]
    found = np.array([halves[1][areas[0]], halves[0][areas[1]]])
    larger = int(np.abs(found).argmax())
    size = float(np.abs(found).mean() * np.sign(found[larger]))
    return metrics.SdRatio(whole.mean, 1 + size, areas[larger])
