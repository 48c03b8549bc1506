"""How much a decoder that is not linear departs from its process, by the ratio of densities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import linalg

from priorvae.evaluation.metrics import proper_range
from priorvae.inference.importance import effective_fraction
from priorvae.processes.base import Gaussian

if TYPE_CHECKING:
    import jax

__all__ = ["NUM_WEIGHED", "gaussian_log_density", "importance_fractions"]

NUM_WEIGHED = 100
"""Draws at each value of the hyperparameters: each has a Jacobian."""

LARGEST = 500
"""Values of a field beyond which those Jacobians take minutes."""

ENTRIES = 400_000
"""Entries of the Jacobians that are made at once: more no longer fit in a core's cache."""


class Decodes(Protocol):
    """What a change of variables needs of a decoder; `priorvae.bundles.Bundle` has it."""

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""

    def decode(self, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
        """Return `f`, `(area,)`, for one `z`, `(latent,)`; traceable and differentiable."""


def importance_fractions(
    key: jax.Array, decoder: Decodes, process: Gaussian, hypers: Sequence[Mapping[str, float]]
) -> list[float | None]:
    """Return the effective fraction of weights from decoder to process at each `theta`.

    A draw `f = D(z, theta)` of a decoder with as many latents as areas has the weight

        w = N(f; 0, K_theta) / q(f | theta),   q = N(z; 0, I) / |det dD/dz|,

    by the change of variables, in float64. It holds where `D` is one-to-one given `theta`: one that
    folds has determinants of both signs, and no fraction.

    Args:
        key: Random key of the draws, `NUM_WEIGHED` at each `theta`.
        decoder: The decoder.
        process: The process it stands for.
        hypers: Values of the hyperparameters.

    Returns:
        A fraction for each; None where the decoder's density is not known, or takes too long: with
        fewer or more latents than areas, a process whose covariance is singular, more than
        `LARGEST` values.
    """
    import jax

    if decoder.latent_dim != process.size or process.size > LARGEST:
        return [None] * len(hypers)
    z = jax.random.normal(key, (len(hypers), NUM_WEIGHED, decoder.latent_dim))
    push = _push_forward(decoder)
    return [
        _fraction(push, process.covariance(hyper), np.asarray(draws, np.float64), hyper)
        for hyper, draws in zip(hypers, z, strict=True)
    ]


def _fraction(
    push: Callable[..., Any], covariance: np.ndarray, z: np.ndarray, hyper: Mapping[str, float]
) -> float | None:
    if proper_range(covariance) is not None:
        return None
    fields, signs, log_determinants = _pushed(push, z, hyper)
    if not (np.all(signs > 0) or np.all(signs < 0)):
        return None
    standard = -0.5 * (np.sum(z**2, axis=1) + z.shape[1] * np.log(2 * np.pi))
    ours = standard - log_determinants
    return effective_fraction(gaussian_log_density(fields, covariance) - ours)


def _push_forward(decoder: Decodes) -> Callable[..., Any]:
    """Return `(z, theta) -> (Jacobians, fields)` of several `z`, compiled once for all `theta`."""
    import jax

    def field(latent: jax.Array, hyper: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        found = decoder.decode(latent, hyper)
        return found, found

    return jax.jit(jax.vmap(jax.jacfwd(field, has_aux=True), (0, None)))


def _pushed(
    push: Callable[..., Any], z: np.ndarray, hyper: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return fields, and signs and logarithms of the determinants of their Jacobians."""
    import jax
    import jax.numpy as jnp

    fields, signs, log_determinants = np.empty_like(z), np.empty(len(z)), np.empty(len(z))
    batch = max(1, ENTRIES // z.shape[1] ** 2)
    with jax.enable_x64(True):
        values = {name: jnp.asarray(float(value)) for name, value in hyper.items()}
        for start in range(0, len(z), batch):
            # Positions past the end repeat the last draw: one shape, compiled once.
            rows = np.minimum(np.arange(start, start + batch), len(z) - 1)
            jacobians, found = push(jnp.asarray(z[rows]), values)
            fields[rows] = found
            signs[rows], log_determinants[rows] = np.linalg.slogdet(np.asarray(jacobians))
    return fields, signs, log_determinants


def gaussian_log_density(fields: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return `log N(f; 0, K)` of fields `(draw, area)`, `K` regular, in float64."""
    factor = linalg.cholesky(covariance, lower=True)
    white = linalg.solve_triangular(factor, fields.T, lower=True)
    log_determinant = 2 * np.log(np.diag(factor)).sum()
    return -0.5 * (np.sum(white**2, axis=0) + len(covariance) * np.log(2 * np.pi) + log_determinant)
