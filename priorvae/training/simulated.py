"""Training draws of a process that is known by its draws alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.objectives.objective import Batch
from priorvae.processes.base import Implicit
from priorvae.processes.finite import require_finite
from priorvae.processes.samplers.direct import DirectSampler
from priorvae.training.strata import Strata

__all__ = ["CalledDraws", "CompiledDraws"]


@final
@dataclass(frozen=True, eq=False)
class CompiledDraws:
    """A process that JAX can trace, drawn on the device inside the compiled step.

    Attributes:
        process: The process.
        strata: Where the hyperparameters come from.
        draws_per_group: Draws that share a value.
        noise: Variance of the noise that is added.
    """

    process: Implicit
    strata: Strata
    draws_per_group: int
    noise: float

    @property
    def batch_size(self) -> int:
        """Draws a step."""
        return self.strata.groups * self.draws_per_group

    def batch(self, key: jax.Array) -> Batch:
        """Draw one batch, float32."""
        key_hyper, key_draws, key_noise = jax.random.split(key, 3)
        unit = self.strata.units(key_hyper)
        keys = jax.random.split(key_draws, (self.strata.groups, self.draws_per_group))
        of_a_group = jax.vmap(self.process.sample, in_axes=(0, None))
        fields = jax.vmap(of_a_group)(keys, self.strata.hyper(unit))
        return Batch(unit, _noisy(key_noise, fields, self.noise))

    def ahead(self, keys: jax.Array) -> None:
        """Return None: the compiled step draws."""

    def check(self, key: jax.Array) -> None:
        """Draw the batch again and look at it.

        Raises:
            ProcessError: Says with which hyperparameters a draw is not finite.
        """
        found = jax.jit(self.batch)(key)
        hyper = _repeated(self.strata.hyper(found.unit), self.draws_per_group)
        fields = np.asarray(found.draws, dtype=np.float64).reshape(self.batch_size, -1)
        require_finite(self.process.kind, self.process.sites, fields, hyper)


@final
@dataclass(frozen=True, eq=False)
class CalledDraws:
    """A process that only Python can call, drawn one by one before the compiled steps.

    A callback from inside a compiled step would not do: JAX forbids the use of JAX in one, where it
    may hang, and a simulator's key is JAX's.

    Attributes:
        process: The process.
        strata: Where the hyperparameters come from.
        draws_per_group: Draws that share a value.
        noise: Variance of the noise that is added.
    """

    process: Implicit
    strata: Strata
    draws_per_group: int
    noise: float

    @property
    def batch_size(self) -> int:
        """Draws a step."""
        return self.strata.groups * self.draws_per_group

    def batch(self, key: jax.Array) -> Batch:
        """Draw one batch, float32.

        Raises:
            ProcessError: A draw is not finite; says with which hyperparameters.
        """
        key_hyper, key_draws, key_noise = jax.random.split(key, 3)
        unit = self.strata.units(key_hyper)
        hyper = _repeated(self.strata.hyper(unit), self.draws_per_group)
        fields = DirectSampler(self.process).sample(key_draws, hyper, self.batch_size)
        grouped = fields.reshape(self.strata.groups, self.draws_per_group, -1)
        return Batch(unit, _noisy(key_noise, jnp.asarray(grouped), self.noise))

    def ahead(self, keys: jax.Array) -> Batch:
        """Return the batches of several steps, stacked."""
        batches = [self.batch(key) for key in keys]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *batches)

    def check(self, key: jax.Array) -> None:
        """Find nothing: every batch was looked at when it was drawn."""


def _noisy(key: jax.Array, fields: jax.Array, variance: float) -> jax.Array:
    noise = jax.random.normal(key, fields.shape, jnp.float32)
    return fields.astype(jnp.float32) + variance**0.5 * noise


def _repeated(hyper: dict[str, jax.Array], times: int) -> dict[str, np.ndarray]:
    """Return each group's hyperparameters once for every draw of it."""
    return {name: np.repeat(np.asarray(values), times) for name, values in hyper.items()}
