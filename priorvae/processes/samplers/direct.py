"""The sampler of processes that are known by their draws alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.base import Implicit
from priorvae.processes.finite import require_finite
from priorvae.processes.samplers.base import Hypers, one_by_one

if TYPE_CHECKING:
    import jax

__all__ = ["DirectSampler"]


@final
@dataclass(frozen=True, eq=False)
class DirectSampler:
    """The process's own draws, each with a key of its own: exact by definition.

    Compiled and vectorised where JAX can trace the process; else one draw after another.

    Raises:
        ProcessError: The process is Gaussian, for which other samplers are quicker.
    """

    process: Implicit
    name: str = "direct"
    error: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.process, Implicit):
            raise ProcessError(
                f"sampler `{self.name}`: {self.process.kind} has a covariance, from which other "
                "samplers draw more quickly; use `auto`"
            )

    def sample(self, key: jax.Array, hyper: Hypers, num_draws: int) -> np.ndarray:
        """Draw fields `(draw, size)`, float64, each with its own hyperparameters.

        Raises:
            ProcessError: A draw is not finite; says with which hyperparameters.
        """
        import jax

        keys = jax.random.split(key, num_draws)
        if self.process.traceable:
            fields = np.asarray(_compiled(self.process)(keys, dict(hyper)), dtype=np.float64)
        else:
            each = zip(keys, one_by_one(hyper, num_draws), strict=True)
            fields = np.stack([np.asarray(self.process.sample(*one), np.float64) for one in each])
        require_finite(self.process.kind, self.process.sites, fields, dict(hyper))
        return fields


@lru_cache(maxsize=4)
def _compiled(process: Implicit) -> Callable[..., Any]:
    """Return the vectorised process: compiled once, however many samplers are made of it."""
    import jax

    return jax.jit(jax.vmap(process.sample))
