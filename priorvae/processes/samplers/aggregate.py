"""The sampler of aggregated processes: fine fields by the fine process's own sampler, then sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.aggregated import Aggregated, TransformedAggregate
from priorvae.processes.base import Process
from priorvae.processes.samplers.base import Hypers, LatentSampler

if TYPE_CHECKING:
    import jax

__all__ = ["AggregateSampler", "TransformedAggregateSampler", "require_aggregate"]

_NAME = "aggregate"


@final
@dataclass(frozen=True, eq=False)
class AggregateSampler(LatentSampler):
    """`A R_g(theta) z`: a draw on the cells, carried to the areas in float64.

    Nested boundary systems agree in every draw to rounding in float64.
    """

    process: Aggregated
    fine: LatentSampler
    name: str = _NAME

    @property
    def latent_dim(self) -> int:
        """Normals of the fine process."""
        return self.fine.latent_dim

    @property
    def error(self) -> float:
        """That of the fine process's sampler."""
        return self.fine.error

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return the fields of `z (draw, latent)`."""
        fields: np.ndarray = (self.process.weights @ self.fine.draw(z, hyper).T).T
        return fields


@final
@dataclass(frozen=True, eq=False)
class TransformedAggregateSampler:
    """`A h(a R_g(theta) z)`: the same with the non-linearity on the cells; not linear in z."""

    process: TransformedAggregate
    fine: LatentSampler
    name: str = _NAME

    @property
    def error(self) -> float:
        """That of the fine process's sampler."""
        return self.fine.error

    def sample(self, key: jax.Array, hyper: Hypers, num_draws: int) -> np.ndarray:
        """Draw fields `(draw, size)`, float64, each with its own hyperparameters."""
        own = {c.name: hyper[c.name] for c in self.process.fine.conditions}
        fine = self.fine.sample(key, own, num_draws)
        amplitude = np.broadcast_to(self.process.all_hyper(hyper)["amplitude"], num_draws)
        return self.process.of_fine(fine, amplitude)


def require_aggregate(process: Process) -> Aggregated | TransformedAggregate:
    """Return an aggregated process, or refuse another.

    Raises:
        ProcessError: The process is not aggregated from a fine one.
    """
    if not isinstance(process, Aggregated | TransformedAggregate):
        raise ProcessError(
            f"sampler `{_NAME}`: {process.kind} is not aggregated from cells or points; use `auto`"
        )
    return process
