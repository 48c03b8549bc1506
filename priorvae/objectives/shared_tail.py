"""A gated linear start for large maps: many terms where the roots turn, one each where they do not.

Far down the spectrum the eigenvectors of a stationary covariance hardly turn with the lengthscale,
and its eigenvalues move together: a Matern kernel's spectral density is a power of the frequency
times a function of the lengthscale there (Rasmussen and Williams 2006, section 4.2). So a direction
of the tail takes one gate of its own, and only the leading block has to be decomposed. With `core`
of `area` directions in it a sweep costs `(core / area)^3` of one over the whole.
"""

from __future__ import annotations

import numpy as np

from priorvae.objectives.warm_start import Factors, alternating_least_squares

__all__ = ["core_size", "fit_with_shared_tail"]

LARGEST_CORE = 600
"""Directions of the leading block, or all there are: what a sweep can decompose in a second."""


def core_size(areas: int) -> int:
    """Return how many directions of a map with so many areas are taken to turn."""
    return min(areas, LARGEST_CORE)


def fit_with_shared_tail(
    roots: np.ndarray, core: int, sweeps: int, rng: np.random.Generator
) -> Factors:
    """Decompose square `roots` `(node, area, area)` into `area + core` gated terms, float64.

    The directions are the eigenvectors of the mean root. The leading `core` of them are fitted by
    `2 core` terms, the others by their own entry on the diagonal.

    Args:
        roots: What to fit.
        core: Number of leading directions.
        sweeps: Passes over the core's factors.
        rng: Source of the random terms to start from.
    """
    mean = roots.mean(axis=0)
    vectors = np.linalg.eigh((mean + mean.T) / 2)[1][:, ::-1]
    leading, tail = vectors[:, :core], vectors[:, core:]
    block = leading.T @ roots @ leading
    fitted = alternating_least_squares(block, 2 * core, sweeps, rng)
    gates = np.einsum("ih,tij,jh->th", tail, roots, tail, optimize=True)
    return Factors(
        np.concatenate([leading @ fitted.left, tail], axis=1),
        np.concatenate([fitted.gates, gates], axis=1),
        np.concatenate([fitted.right @ leading.T, tail.T]),
    )
