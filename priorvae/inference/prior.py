"""What a regression model needs of a spatial prior: a map from normals to one value per area."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import jax
from jax.typing import ArrayLike

from priorvae.processes.conditions import Condition

__all__ = ["SpatialPrior"]


@runtime_checkable
class SpatialPrior(Protocol):
    """A unit-scale spatial prior, `f = decode(z, hyper)` with `z ~ N(0, I)`.

    A bundle is one (a learnt decoder); `ExactPrior` is another (the process itself), so that one
    regression model and one sampler serve both sides of a comparison.
    """

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of `f`: the area's id, or `layer/id` where there are layers."""

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Hyperparameters `decode` is given, with their trained ranges; empty where it has none."""

    def decode(self, z: jax.Array, hyper: Mapping[str, ArrayLike]) -> jax.Array:
        """Return `f`, `(area,)`, for one `z`, `(latent,)`; traceable, vmappable, differentiable."""
