"""Fresh draws for every step, simulated on the device inside the jitted step."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.config import TrainingConfig
from priorvae.objectives.vae import Batch
from priorvae.processes.base import Gaussian
from priorvae.processes.conditions import Condition
from priorvae.processes.roots import InterpolatedRoot, symmetric_root

__all__ = ["DrawSource"]

_TABLE = 1025


@dataclass(frozen=True, eq=False)
class DrawSource:
    """Batches of draws whose hyperparameters are stratified and fresh at every step.

    Attributes:
        root: Root of the draws' covariance over the hyperparameters' range.
        quantiles: Unit conditions at evenly spaced probabilities, `(cond, table)`.
        groups: Distinct hyperparameter values a batch.
        draws_per_group: Draws that share a value.
        columns: Take the root's columns times sqrt(n) in place of random draws.
    """

    root: InterpolatedRoot
    quantiles: np.ndarray
    groups: int
    draws_per_group: int
    columns: bool

    @classmethod
    def build(cls, process: Gaussian, config: TrainingConfig, noise: float) -> DrawSource:
        """Prepare the root of the process's covariance plus `noise` on the diagonal."""
        diagonal = noise * np.eye(process.size)
        root = InterpolatedRoot.fit(
            lambda hyper: symmetric_root(process.covariance(hyper) + diagonal), process.conditions
        )
        columns = config.draws == "columns"
        size = config.batch_size
        return cls(
            root=root,
            quantiles=_quantiles(process.conditions, config.over),
            groups=config.conditions_per_step,
            draws_per_group=process.size
            if columns or size == "auto"
            else size // config.conditions_per_step,
            columns=columns,
        )

    @property
    def batch_size(self) -> int:
        """Draws a step."""
        return self.groups * self.draws_per_group

    def batch(self, key: jax.Array) -> Batch:
        """Draw one batch, float32."""
        key_hyper, key_draws = jax.random.split(key)
        unit = self._conditions(key_hyper)
        roots = jax.vmap(self.root)(unit)
        n = roots.shape[-1]
        if self.columns:
            draws = n**0.5 * jnp.swapaxes(roots, 1, 2)
        else:
            shape = (self.groups, self.draws_per_group, n)
            z = jax.random.normal(key_draws, shape, jnp.float32)
            draws = jnp.einsum("gij,gdj->gdi", roots, z)
        return Batch(unit, draws)

    def _conditions(self, key: jax.Array) -> jax.Array:
        """One value in each of `groups` equal strata, the strata of each condition shuffled."""
        columns = []
        for index, table in enumerate(self.quantiles):
            key_jitter, key_order = jax.random.split(jax.random.fold_in(key, index))
            jitter = jax.random.uniform(key_jitter, (self.groups,), jnp.float32)
            strata = jax.random.permutation(key_order, jnp.arange(self.groups))
            probability = (strata + jitter) / self.groups
            grid = jnp.linspace(0, 1, _TABLE, dtype=jnp.float32)
            columns.append(jnp.interp(probability, grid, jnp.asarray(table, jnp.float32)))
        if not columns:
            return jnp.zeros((self.groups, 0), jnp.float32)
        return jnp.stack(columns, axis=-1)


def _quantiles(conditions: tuple[Condition, ...], over: str) -> np.ndarray:
    """Unit conditions by probability: the range itself, or the hyperprior's quantiles."""
    probability = np.linspace(0, 1, _TABLE)
    if over == "range":
        rows = [2 * probability - 1 for _ in conditions]
    else:
        rows = [np.clip(c.to_unit(c.quantile(probability)), -1, 1) for c in conditions]
    return np.stack(rows) if rows else np.zeros((0, _TABLE))
