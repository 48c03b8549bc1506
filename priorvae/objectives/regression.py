"""DeepRV and GatedLinear: a decoder alone, trained by paired regression on a root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.spec import Decoder
from priorvae.objectives.objective import Batch

__all__ = ["Regression", "Solo"]


class Solo(nnx.Module):
    """A decoder without an encoder."""

    def __init__(self, decoder: DecoderModule) -> None:
        self.decoder = decoder


@final
@dataclass(frozen=True)
class Regression:
    """Mean squared error of `D(z, theta)` about `R(theta) z`, relative to the mean square of `R z`.

    The pair shares its `z`, so nothing has to be inferred and there is no encoder. With the columns
    of the root as draws, `z` runs through the scaled unit vectors: for a decoder that is linear in
    z the loss is the squared relative Frobenius error of its matrix, without sampling noise.

    Source: Navott et al. (2025), DeepRV: pre-trained spatial priors for accelerated disease
    mapping, who regress on the Cholesky factor. The symmetric root takes fewer terms in theta, and
    does not depend on the order of the areas.

    Attributes:
        decoder: Specification of what is learnt.
        build: Makes the module from a seed and, optionally, starting weights.
        start: Computes the starting weights from a seed, or None to start at random.
    """

    decoder: Decoder
    build: Callable[[int, dict[str, np.ndarray] | None], Solo]
    start: Callable[[int], dict[str, np.ndarray] | None]
    noise: float = 0.0

    def initial(self, seed: int) -> Solo:
        """Return the decoder as training starts with it."""
        return self.build(seed, self.start(seed))

    def loss(
        self, model: Solo, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the relative mean squared error; nothing is random given the batch."""
        assert batch.latents is not None
        predicted = jax.vmap(model.decoder)(batch.latents, batch.unit)
        error = jnp.mean((predicted - batch.draws) ** 2, axis=(1, 2))
        # Relative at each theta, so that a process whose scale changes counts alike everywhere.
        relative = jnp.mean(error / jnp.mean(batch.draws**2, axis=(1, 2)))
        return relative, {"relative_error": jnp.sqrt(relative)}
