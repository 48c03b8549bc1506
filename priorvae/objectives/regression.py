"""DeepRV and GatedLinear: a decoder alone, trained by paired regression on a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.objectives.objective import Batch
from priorvae.objectives.solo import Solo, SoloObjective

__all__ = ["Regression"]


@final
@dataclass(frozen=True)
class Regression(SoloObjective):
    """Mean squared error of `D(z, theta)` about `R(theta) z`, relative to the mean square of `R z`.

    The pair shares its `z`, so nothing has to be inferred and there is no encoder. With the columns
    of the root as draws, `z` runs through the scaled unit vectors: for a decoder that is linear in
    z the loss is the squared relative Frobenius error of its matrix, without sampling noise.

    Source: Navott et al. (2025), DeepRV: pre-trained spatial priors for accelerated disease
    mapping, who regress on the Cholesky factor. The symmetric root takes fewer terms in theta, and
    does not depend on the order of the areas.

    Attributes:
        axes: Where each latent has a gate of its own, the axes `Q` that latents lie along,
            `(column, latent)`: `R(theta) Q` is learnt, another root of the same covariance.
    """

    axes: np.ndarray | None = None

    def loss(
        self, model: Solo, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the relative mean squared error; nothing is random given the batch."""
        assert batch.latents is not None
        latents = batch.latents if self.axes is None else batch.latents @ self._axes()
        predicted = jax.vmap(model.decoder)(latents, batch.unit)
        error = jnp.mean((predicted - batch.draws) ** 2, axis=(1, 2))
        # Relative at each theta, so that a process whose scale changes counts alike everywhere.
        relative = jnp.mean(error / jnp.mean(batch.draws**2, axis=(1, 2)))
        return relative, {"relative_error": jnp.sqrt(relative)}

    def _axes(self) -> jax.Array:
        return jnp.asarray(self.axes, dtype=jnp.float32)
