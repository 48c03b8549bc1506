"""The process itself as a spatial prior: exact inference, for comparison and for small maps."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from priorvae.errors import ProcessError
from priorvae.processes import Condition
from priorvae.processes.base import Gaussian

__all__ = ["ExactPrior"]


@dataclass(frozen=True, eq=False)
class ExactPrior:
    """A Gaussian process in its non-centred form, `f = chol(K(theta)) z`.

    Every evaluation factorises an `(area, area)` matrix: this is the cost a decoder avoids.

    Attributes:
        process: The process; its `covariance_jax` is factorised.

    Raises:
        ProcessError: JAX computes in float32, in which a smooth kernel's covariance is singular.
    """

    process: Gaussian

    def __post_init__(self) -> None:
        if not jax.config.read("jax_enable_x64"):
            raise ProcessError(
                "exact inference factorises covariances, which needs float64, and JAX is set to "
                "float32; call numpyro.enable_x64() at the start of the program"
            )

    @property
    def area_ids(self) -> tuple[str, ...]:
        """Identifiers of the areas, in the order of `f`."""
        return self.process.areas.ids

    @property
    def latent_dim(self) -> int:
        """Length of `z`: one latent per area."""
        return len(self.process.areas)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The process's free hyperparameters."""
        return self.process.conditions

    def decode(self, z: jax.Array, hyper: Mapping[str, ArrayLike]) -> jax.Array:
        """Return `chol(K(theta)) z`, `(area,)`, for `z`, `(area,)`."""
        return jnp.linalg.cholesky(self.process.covariance_jax(hyper)) @ z
