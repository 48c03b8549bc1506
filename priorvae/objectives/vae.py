"""PriorVAE, PriorCVAE and aggVAE: a decoder and an encoder trained together by a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.decoders.spec import Decoder
from priorvae.objectives.bounds import AutoEncoder, Bound
from priorvae.objectives.objective import Batch

__all__ = ["VAE"]


@dataclass(frozen=True)
class VAE:
    """An encoder and a decoder of `y | z, theta ~ N(D(z, theta), s^2 I)`, `z ~ N(0, I)`.

    The loss is that of the bound, averaged over the batch and divided by the number of areas,
    constants left out. With `noisy` draws, `y` is a draw of the process plus independent noise of
    variance `s^2`. Then the evidence lower bound is maximal where the decoder's covariance *is* the
    process's; on noise-free draws it is maximal at `K - s^2 I`, which is how published decoders
    shrink.

    Source: Kingma and Welling (2014); Semenova et al. (2022) without, (2023) with conditions.

    Attributes:
        decoder: Specification of what is learnt; without conditions it is a PriorVAE.
        variance: `s^2`.
        noisy: Whether the draws carry the likelihood's noise.
        bound: What is minimised.
        build: Makes encoder and decoder from a seed and, optionally, starting weights.
        start: Computes the starting weights from a seed, or None to start at random.
    """

    decoder: Decoder
    variance: float
    noisy: bool
    bound: Bound
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
        """Return the loss per area, and its parts."""
        unit = batch.unit if self.decoder.conditions else batch.unit[:, :0]
        found = self.bound.parts(model, unit, batch.draws, key, self.variance)
        parts = {name: part / self.decoder.num_areas for name, part in found.items()}
        return sum(parts.values(), start=jnp.zeros(())), parts
