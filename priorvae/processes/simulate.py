"""Draws with fresh hyperparameters, the same for a seed whatever is done with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from priorvae.processes.base import Process
from priorvae.processes.samplers import Sampler

__all__ = ["Draws", "block_size", "draw_block", "simulate"]

LARGEST_BLOCK = 1024
_VALUES = 2**22


def block_size(process: Process) -> int:
    """Return how many draws are made together: a power of two that a field's length determines.

    It is fixed, because the last bits of a matrix product depend on how many rows it has: so draw
    `i` depends on the key and on `i` alone.
    """
    return min(LARGEST_BLOCK, 2 ** int(math.log2(max(1, _VALUES // process.size))))


class Draws(NamedTuple):
    """Simulated fields and what they were simulated with."""

    fields: np.ndarray
    """Shape `(draw, size)`, float64."""
    hyper: dict[str, np.ndarray]
    """Each hyperparameter's values, shape `(draw,)`."""


def simulate(key: jax.Array, process: Process, sampler: Sampler, num_draws: int) -> Iterator[Draws]:
    """Yield blocks of draws: hyperparameters from the hyperprior, and one field for each.

    A longer simulation begins with a shorter one, bit for bit; no more than one block is held.
    """
    size = block_size(process)
    for start in range(0, num_draws, size):
        block = draw_block(jax.random.fold_in(key, start // size), process, sampler, size)
        kept = min(size, num_draws - start)
        yield Draws(block.fields[:kept], {n: values[:kept] for n, values in block.hyper.items()})


def draw_block(key: jax.Array, process: Process, sampler: Sampler, num_draws: int) -> Draws:
    """Make draws with hyperparameters of their own in one go."""
    key_hyper, key_field = jax.random.split(key)
    probability = jax.random.uniform(key_hyper, (num_draws, len(process.conditions)))
    hyper = {
        condition.name: condition.quantile(np.asarray(column, dtype=np.float64))
        for condition, column in zip(process.conditions, probability.T, strict=True)
    }
    return Draws(sampler.sample(key_field, hyper, num_draws), hyper)
