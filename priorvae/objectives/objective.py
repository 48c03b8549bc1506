"""What training needs of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from priorvae.decoders.features import FeatureMap
from priorvae.decoders.spec import Decoder

__all__ = ["Batch", "Finished", "Objective"]


class Batch(NamedTuple):
    """Draws of the process, grouped by the hyperparameters they share."""

    unit: jax.Array
    """Unit conditions, shape `(group, cond)`."""
    draws: jax.Array
    """Shape `(group, draw, size)`."""
    latents: jax.Array | None = None
    """The normals that gave the draws, `(group, draw, latent)`, where they came from a root."""
    functions: jax.Array | None = None
    """Which functions of a fixed set the draws are, `(group,)`, where they are of one."""


class Finished(NamedTuple):
    """What an objective leaves when it was trained."""

    decoder: Decoder
    """At the areas."""
    weights: Mapping[str, np.ndarray]
    """The decoder's, by flat name."""
    features: FeatureMap | None = None
    """What continues it between the areas, where it is known there."""


class Objective(Protocol):
    """A decoder, and the loss by which it is learnt."""

    @property
    def decoder(self) -> Decoder:
        """Specification of what is learnt."""
        ...

    @property
    def noise(self) -> float:
        """Variance of the independent noise its draws carry."""
        ...

    def build(self, seed: int, weights: dict[str, np.ndarray] | None, /) -> Any:
        """Return the trainable module, with its decoder as the attribute `decoder`."""
        ...

    def initial(self, seed: int) -> Any:
        """Return the module as training starts with it."""
        ...

    def loss(
        self, model: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss of a batch, and figures to log."""
        ...
