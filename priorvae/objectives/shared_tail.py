"""A gated linear start for large maps: mixing terms where the roots turn, none where they do not.

Far down the spectrum the eigenvectors of a stationary covariance hardly turn with the lengthscale,
and its eigenvalues move together: a Matern kernel's spectral density is a power of the frequency
times a function of the lengthscale there (Rasmussen and Williams 2006, section 4.2). So a direction
of the tail takes one gate of its own, and only the leading block has to be decomposed. With `core`
of `area` directions in it a sweep costs `(core / area)^3` of one over the whole.
"""

from __future__ import annotations

import numpy as np

from priorvae.objectives.warm_start import Factors, fit_own_gates

__all__ = ["core_size", "default_width", "fit_with_shared_tail"]

LARGEST_CORE = 600
"""Directions of the leading block, or all there are: what a sweep can decompose in a second."""


def core_size(areas: int) -> int:
    """Return how many directions of a map with so many areas are taken to turn."""
    return min(areas, LARGEST_CORE)


def default_width(latents: int) -> int:
    """Return a decoder's gated terms: one a latent, and three that mix for every two that turn.

    So many took Georgia's 159 counties to an importance fraction of .98.
    """
    return latents + 3 * core_size(latents) // 2


def fit_with_shared_tail(
    roots: np.ndarray,
    axes: np.ndarray,
    hidden: int,
    sweeps: int,
    rng: np.random.Generator,
    core: int,
) -> Factors:
    """Decompose square `roots` `(node, area, area)` along axes, one gate each and more in the core.

    Every latent has a gate of its own. The leading `core` axes are fitted with terms that mix
    them, the others by their own entry on the diagonal.

    Args:
        roots: What to fit.
        axes: Eigenvectors of a root, those of the largest eigenvalues first, `(area, latent)`.
        hidden: Number of terms, at least as many as latents.
        sweeps: Passes over the core's factors.
        rng: Source of the random terms to start from.
        core: Number of leading axes.
    """
    areas = roots.shape[1]
    leading, tail = axes[:, :core], axes[:, core:]
    fitted = fit_own_gates(leading.T @ roots @ leading, core + hidden - areas, sweeps, rng)
    gates = np.einsum("ih,tij,jh->th", tail, roots, tail, optimize=True)
    left, right = leading @ fitted.left, np.eye(hidden, areas)
    right[areas:, :core] = fitted.right[core:]
    return Factors(
        np.concatenate([left[:, :core], tail, left[:, core:]], axis=1),
        np.concatenate([fitted.gates[:, :core], gates, fitted.gates[:, core:]], axis=1),
        right,
    )
