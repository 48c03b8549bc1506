"""Functions that are drawn once and seen again and again: what a table of weights is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import jax
import jax.numpy as jnp

from priorvae.config import TrainingConfig
from priorvae.objectives.objective import Batch
from priorvae.processes.base import Gaussian
from priorvae.processes.roots import InterpolatedRoot
from priorvae.training.strata import Strata

__all__ = ["FunctionDraws"]


@final
@dataclass(frozen=True, eq=False)
class FunctionDraws:
    """A fixed set of functions, each with its own hyperparameters; a batch is some of them.

    Attributes:
        unit: Unit conditions of each function, `(function, cond)`.
        values: The functions at the areas, `(function, area)`, float32.
        batch_size: Functions a step, none of them twice.
    """

    unit: jax.Array
    values: jax.Array
    batch_size: int

    @classmethod
    def build(cls, process: Gaussian, config: TrainingConfig, functions: int, seed: int) -> Self:
        """Draw the functions, with hyperparameters spread evenly, by the run's seed."""
        assert isinstance(config.batch_size, int)  # as `draws: random` requires
        strata = replace(Strata.build(process.conditions, config), groups=functions)
        key_hyper, key_draws = jax.random.split(jax.random.key(seed))
        unit = strata.units(key_hyper)
        root = InterpolatedRoot.fit(process.root, process.conditions)
        z = jax.random.normal(key_draws, (functions, root.matrices.shape[2]), jnp.float32)
        # One root at a time: all of them together would not fit in memory.
        values = jax.lax.map(lambda one: root(one[0]) @ one[1], (unit, z))
        return cls(unit, values, min(config.batch_size, functions))

    def batch(self, key: jax.Array) -> Batch:
        """Choose some of the functions."""
        shape = (self.batch_size,)
        chosen = jax.random.choice(key, len(self.values), shape, replace=False)
        return Batch(self.unit[chosen], self.values[chosen][:, None], functions=chosen)

    def ahead(self, keys: jax.Array) -> None:
        """Return None: the compiled step chooses."""

    def check(self, key: jax.Array) -> None:
        """Find nothing: a finite root gives finite functions."""
