"""Draws with fresh hyperparameters, the same for a seed whatever is done with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from priorvae.processes.base import Gaussian
from priorvae.processes.samplers import Sampler

__all__ = ["BLOCK", "Draws", "simulate"]

BLOCK = 1024
"""Draws that are made together. It is fixed, because the last bits of a matrix product depend on
how many rows it has: so draw `i` depends on the key and on `i` alone."""


class Draws(NamedTuple):
    """Simulated fields and what they were simulated with."""

    fields: np.ndarray
    """Shape `(draw, area)`, float64."""
    hyper: dict[str, np.ndarray]
    """Each hyperparameter's values, shape `(draw,)`."""


def simulate(
    key: jax.Array, process: Gaussian, sampler: Sampler, num_draws: int
) -> Iterator[Draws]:
    """Yield blocks of draws: hyperparameters from the hyperprior, and one field for each.

    A longer simulation begins with a shorter one, bit for bit; no more than one block is held.
    """
    for start in range(0, num_draws, BLOCK):
        block = _block(jax.random.fold_in(key, start // BLOCK), process, sampler)
        kept = min(BLOCK, num_draws - start)
        yield Draws(block.fields[:kept], {n: values[:kept] for n, values in block.hyper.items()})


def _block(key: jax.Array, process: Gaussian, sampler: Sampler) -> Draws:
    key_hyper, key_latent = jax.random.split(key)
    probability = jax.random.uniform(key_hyper, (BLOCK, len(process.conditions)))
    z = jax.random.normal(key_latent, (BLOCK, sampler.latent_dim))
    hyper = {
        condition.name: condition.quantile(np.asarray(column, dtype=np.float64))
        for condition, column in zip(process.conditions, probability.T, strict=True)
    }
    return Draws(sampler.draw(np.asarray(z, dtype=np.float64), hyper), hyper)
