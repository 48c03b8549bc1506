"""Draws with fresh hyperparameters, the same for a seed whatever the block they are made in."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from priorvae.processes.base import Gaussian
from priorvae.processes.conditions import unit_vector
from priorvae.processes.roots import InterpolatedRoot

__all__ = ["Draws", "simulate"]


class Draws(NamedTuple):
    """Simulated fields and what they were simulated with."""

    fields: np.ndarray
    """Shape `(draw, area)`, float64."""
    hyper: dict[str, np.ndarray]
    """Each hyperparameter's values, shape `(draw,)`."""


def simulate(key: jax.Array, process: Gaussian, num_draws: int) -> Draws:
    """Draw hyperparameters from the hyperprior, and one field for each.

    Draw `i` depends on the key and `i` alone, so that a longer simulation begins with a shorter
    one. The root is interpolated over the hyperparameters (relative error below 1e-6).
    """
    root = InterpolatedRoot.fit(process.root, process.conditions)
    latent_dim = root.matrices.shape[2]
    probability, z = jax.vmap(
        lambda i: _uniform_and_normal(
            jax.random.fold_in(key, i), len(process.conditions), latent_dim
        )
    )(np.arange(num_draws))
    hyper = {
        c.name: c.quantile(np.asarray(probability[:, index], dtype=np.float64))
        for index, c in enumerate(process.conditions)
    }
    fields = np.empty((num_draws, len(process.areas)))
    for draw, latent in enumerate(np.asarray(z, dtype=np.float64)):
        values = {name: series[draw] for name, series in hyper.items()}
        fields[draw] = root(unit_vector(process.conditions, values, np)) @ latent
    return Draws(fields, hyper)


def _uniform_and_normal(
    key: jax.Array, num_conditions: int, latent_dim: int
) -> tuple[jax.Array, jax.Array]:
    key_hyper, key_latent = jax.random.split(key)
    return (
        jax.random.uniform(key_hyper, (num_conditions,)),
        jax.random.normal(key_latent, (latent_dim,)),
    )
