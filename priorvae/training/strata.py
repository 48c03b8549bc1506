"""Hyperparameters of a training step: fresh ones, evenly spread over their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.config import TrainingConfig
from priorvae.processes.conditions import Condition

__all__ = ["Strata"]

_TABLE = 1025


@dataclass(frozen=True, eq=False)
class Strata:
    """Values of the hyperparameters, one in each of equally probable strata.

    Attributes:
        conditions: The hyperparameters.
        quantiles: Unit conditions at evenly spaced probabilities, `(cond, table)`.
        groups: Distinct values a step.
    """

    conditions: tuple[Condition, ...]
    quantiles: np.ndarray
    groups: int

    @classmethod
    def build(cls, conditions: tuple[Condition, ...], config: TrainingConfig) -> Self:
        """Tabulate the range itself, or the hyperprior's quantiles."""
        return cls(conditions, _quantiles(conditions, config.over), config.conditions_per_step)

    def units(self, key: jax.Array) -> jax.Array:
        """Return unit conditions `(group, cond)`, the strata of each condition shuffled."""
        columns = []
        for index, (condition, table) in enumerate(
            zip(self.conditions, self.quantiles, strict=True)
        ):
            key_jitter, key_order = jax.random.split(jax.random.fold_in(key, index))
            jitter = jax.random.uniform(key_jitter, (self.groups,), jnp.float32)
            strata = jax.random.permutation(key_order, jnp.arange(self.groups))
            probability = (strata + jitter) / self.groups
            grid = jnp.linspace(0, 1, _TABLE, dtype=jnp.float32)
            unit = jnp.interp(probability, grid, jnp.asarray(table, jnp.float32))
            if condition.labels:  # between two categories there is none
                unit = condition.to_unit(condition.from_unit(unit))
            columns.append(unit)
        if not columns:
            return jnp.zeros((self.groups, 0), jnp.float32)
        return jnp.stack(columns, axis=-1)

    def hyper(self, units: jax.Array) -> dict[str, jax.Array]:
        """Return the hyperparameters at unit conditions `(group, cond)`, each `(group,)`."""
        columns = jnp.asarray(units, dtype=float).T
        return {
            c.name: jnp.clip(c.from_unit(column), c.low, c.high)  # rounding must not leave it
            for c, column in zip(self.conditions, columns, strict=True)
        }


def _quantiles(conditions: tuple[Condition, ...], over: str) -> np.ndarray:
    """Unit conditions by probability: the range itself, or the hyperprior's quantiles.

    Categories are equally probable either way.
    """
    probability = np.linspace(0, 1, _TABLE)
    rows = [
        2 * probability - 1
        if over == "range" and not c.labels
        else np.clip(c.to_unit(c.quantile(probability)), -1, 1)
        for c in conditions
    ]
    return np.stack(rows) if rows else np.zeros((0, _TABLE))
