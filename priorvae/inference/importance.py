"""Importance weights: how many draws they leave in effect, and whether to rely on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["ImportanceWeights", "effective_fraction", "reliable_below", "smooth"]

EQUAL = 1e-3
"""Spread of log weights that can change nothing: there is no tail to fit."""


class ImportanceWeights(NamedTuple):
    """Pareto-smoothed importance weights (Vehtari et al. 2024, JMLR 25)."""

    fraction: float
    """Effective fraction of the draws after reweighting; 1 if the decoder is the prior."""
    pareto_k: float | None
    """Estimated tail index; None where all weights are equal to a thousandth, or not finite."""
    log_weights: np.ndarray
    """Normalised smoothed log weights, in the shape of the draws."""

    @property
    def reliable(self) -> bool:
        """Whether estimates by these weights can be relied on; `doubt` says why not."""
        return not self.doubt

    @property
    def doubt(self) -> str:
        """Why the weights cannot be relied on; empty where they can be."""
        if self.fraction == 0:
            return "a weight is not finite: the decoder's fields are far from those of the process"
        limit = reliable_below(self.log_weights.size)
        if self.pareto_k is not None and not self.pareto_k <= limit:
            return (
                f"Pareto k-hat is {self.pareto_k:.2f}, above {limit:.2f}: a few draws carry most "
                "of the weight, so that the decoder's posterior lacks what the exact one has"
            )
        return ""


def smooth(log_weights: np.ndarray, *, relative_efficiency: float = 1.0) -> ImportanceWeights:
    """Smooth the largest weights by the generalised Pareto distribution that fits them.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling,
    JMLR 25, algorithm 1.

    Args:
        log_weights: Log weights in any shape, not normalised.
        relative_efficiency: Effective over actual number of draws, where they come from MCMC.
    """
    flat = np.asarray(log_weights, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        return ImportanceWeights(0.0, None, np.asarray(log_weights))
    if np.ptp(flat) < EQUAL:
        equal = np.full(np.shape(log_weights), -np.log(flat.size))
        return ImportanceWeights(1.0, None, equal)
    from arviz import psislw

    smoothed, pareto_k = psislw(flat, reff=relative_efficiency)
    smoothed = np.asarray(smoothed).reshape(np.shape(log_weights))
    return ImportanceWeights(effective_fraction(smoothed), float(pareto_k), smoothed)


def reliable_below(num_draws: int) -> float:
    """Return the largest `pareto_k` to rely on, `min(1 - 1 / log10 S, 0.7)`.

    Source: Vehtari et al. (2024), section 3.2.4; fewer draws bear less.
    """
    return min(1 - 1 / np.log10(max(num_draws, 11)), 0.7)


def effective_fraction(log_weights: np.ndarray) -> float:
    """Return `(sum w)^2 / (N sum w^2)` of weights given by their logarithms; 1 if all are equal.

    Weights that are all zero (-inf) have a fraction of 0.
    """
    top = np.max(log_weights)
    if not np.isfinite(top):
        return 0.0
    weights = np.exp(log_weights - top)
    return float(weights.sum() ** 2 / (weights.size * np.sum(weights**2)))
