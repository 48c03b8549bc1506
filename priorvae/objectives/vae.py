"""PriorVAE and PriorCVAE: a decoder and an encoder trained together by the ELBO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.spec import Decoder
from priorvae.objectives.encoders import DiagonalEncoder, FullEncoder, FullNormal
from priorvae.objectives.objective import Batch

__all__ = ["VAE", "AutoEncoder"]


class AutoEncoder(nnx.Module):
    """The trainable pair."""

    def __init__(self, encoder: FullEncoder | DiagonalEncoder, decoder: DecoderModule) -> None:
        self.encoder = encoder
        self.decoder = decoder


@dataclass(frozen=True)
class VAE:
    """The evidence lower bound of `y | z, theta ~ N(D(z, theta), s^2 I)`, `z ~ N(0, I)`.

    `loss = [E_q ||y - D(z, theta)||^2 / (2 s^2) + KL(q(z | y, theta) || N(0, I))] / area`, averaged
    over the batch, constants left out. With `noisy` draws, `y` is a draw of the process plus
    independent noise of variance `s^2`. Then the bound is maximal where the decoder's covariance
    *is* the process's; on noise-free draws it is maximal at `K - s^2 I`, which is how published
    decoders shrink.

    Source: Kingma and Welling (2014); Semenova et al. (2022) without, (2023) with conditions.

    Attributes:
        decoder: Specification of what is learnt; without conditions it is a PriorVAE.
        variance: `s^2`.
        noisy: Whether the draws carry the likelihood's noise.
        build: Makes encoder and decoder from a seed and, optionally, starting weights.
        start: Computes the starting weights from a seed, or None to start at random.
    """

    decoder: Decoder
    variance: float
    noisy: bool
    build: Callable[[int, dict[str, np.ndarray] | None], AutoEncoder]
    start: Callable[[int], dict[str, np.ndarray] | None]

    @property
    def noise(self) -> float:
        """Variance of the noise that its draws carry."""
        return self.variance if self.noisy else 0.0

    def initial(self, seed: int) -> AutoEncoder:
        """Return encoder and decoder as training starts with them."""
        return self.build(seed, self.start(seed))

    def loss(
        self, model: AutoEncoder, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the negative bound per area, and its two parts."""
        keys = jax.random.split(key, len(batch.draws))
        unit = batch.unit if self.decoder.conditions else batch.unit[:, :0]
        errors, divergences = jax.vmap(
            lambda u, y, k: self._terms(model, u, y, k), in_axes=(0, 0, 0)
        )(unit, batch.draws, keys)
        reconstruction = jnp.mean(errors) / (2 * self.variance * self.decoder.num_areas)
        divergence = jnp.mean(divergences) / self.decoder.num_areas
        parts = {"reconstruction": reconstruction, "kl": divergence}
        return reconstruction + divergence, parts

    def _terms(
        self, model: AutoEncoder, unit: jax.Array, draws: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Expected squared error and divergence for draws that share their conditions."""
        posterior = model.encoder(draws, unit)
        if isinstance(posterior, FullNormal) and self.decoder.is_linear:
            # E||y - Az||^2 = ||y - A m||^2 + tr(A S A'), without sampling z.
            residual = draws - model.decoder(posterior.mean, unit)
            spread = model.decoder(posterior.root.T, unit)
            error = jnp.mean(jnp.sum(residual**2, axis=-1)) + jnp.sum(spread**2)
        else:
            residual = draws - model.decoder(posterior.sample(key), unit)
            error = jnp.mean(jnp.sum(residual**2, axis=-1))
        return error, posterior.kl()
