"""Encoders: networks that map a draw and its conditions to a distribution over the latents."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.scipy.linalg import solve_triangular

from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.spec import Decoder

__all__ = ["DiagonalEncoder", "DiagonalNormal", "FullEncoder", "FullNormal", "Weighted"]


class Weighted(NamedTuple):
    """Latents drawn from an encoder's normals, as importance samples from N(0, I)."""

    latents: jax.Array
    """Shape `(sample, draw, latent)`."""
    log_weights: jax.Array
    """`log N(z; 0, I) - log q(z)`, shape `(sample, draw)`."""


class FullNormal(NamedTuple):
    """Normals over the latents that differ in their means and share a covariance."""

    mean: jax.Array
    """Shape `(draw, latent)`."""
    root: jax.Array
    """`R` with `R R'` the covariance, shape `(latent, latent)`, upper triangular."""

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one latent for each mean, shape `(draw, latent)`."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + noise @ self.root.T

    def weighted(self, key: jax.Array, samples: int) -> Weighted:
        """Draw several latents for each mean, with their weights."""
        noise = jax.random.normal(key, (samples, *self.mean.shape), self.mean.dtype)
        log_root_det = jnp.sum(jnp.log(jnp.diagonal(self.root)))
        return _weighted(self.mean + noise @ self.root.T, noise, log_root_det)

    def kl(self) -> jax.Array:
        """Divergence from N(0, I), averaged over the draws."""
        log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(self.root)))
        trace = jnp.sum(self.root**2)
        square = jnp.mean(jnp.sum(self.mean**2, axis=-1))
        return 0.5 * (trace + square - self.mean.shape[-1] - log_det)


class DiagonalNormal(NamedTuple):
    """Normals over the latents with independent coordinates."""

    mean: jax.Array
    """Shape `(draw, latent)`."""
    log_sd: jax.Array
    """Shape `(draw, latent)`."""

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one latent for each mean, shape `(draw, latent)`."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(self.log_sd) * noise

    def weighted(self, key: jax.Array, samples: int) -> Weighted:
        """Draw several latents for each mean, with their weights."""
        noise = jax.random.normal(key, (samples, *self.mean.shape), self.mean.dtype)
        latents = self.mean + jnp.exp(self.log_sd) * noise
        return _weighted(latents, noise, jnp.sum(self.log_sd, axis=-1))

    def kl(self) -> jax.Array:
        """Divergence from N(0, I), averaged over the draws."""
        terms = jnp.exp(2 * self.log_sd) + self.mean**2 - 1 - 2 * self.log_sd
        return 0.5 * jnp.mean(jnp.sum(terms, axis=-1))


def _weighted(latents: jax.Array, noise: jax.Array, log_root_det: jax.Array) -> Weighted:
    """Weigh `mean + R noise`, of which `log q = -|noise|^2 / 2 - log det R` up to N(0, I)'s own."""
    squares = jnp.sum(noise**2, axis=-1) - jnp.sum(latents**2, axis=-1)
    return Weighted(latents, 0.5 * squares + log_root_det)


class FullEncoder(nnx.Module):
    """A linear recognition network in natural parameters, gated by the conditions.

    With `M(theta)` a network of the decoder's own form but with its own weights, and `s^2` the
    likelihood's variance, `q(z | y, theta) = N(S M'y / s^2, S)`, `S = (I + M'M / s^2)^-1`. A
    diagonal covariance would make the bound prefer decoders with orthogonal columns, which turn
    with the lengthscale, and shrink; this one contains the exact posterior of any linear decoder.

    Args:
        network: Specification of `M`, linear in its input.
        variance: `s^2`.
        rngs: Random streams for initial values.
        weights: Initial weights instead of random ones.
    """

    def __init__(
        self, network: Decoder, variance: float, *, rngs: nnx.Rngs, weights: dict | None = None
    ) -> None:
        self.network = DecoderModule(network, rngs=rngs, weights=weights)
        self.variance = variance

    def __call__(self, draws: jax.Array, unit: jax.Array) -> FullNormal:
        """Encode `(draw, area)` at unit conditions `(cond,)`."""
        eye = jnp.eye(self.network.decoder.latent_dim, dtype=draws.dtype)
        columns = self.network(eye, unit)
        lower = jnp.linalg.cholesky(eye + columns @ columns.T / self.variance)
        root = solve_triangular(lower, eye, lower=True).T
        mean = (draws @ columns.T / self.variance) @ (root @ root.T)
        return FullNormal(mean, root)


class DiagonalEncoder(nnx.Module):
    """The published encoder: a multilayer perceptron on the draw with its conditions appended.

    Source: Semenova et al. (2022), PriorVAE, J. R. Soc. Interface 19; Semenova et al. (2023),
    PriorCVAE, for the conditions.

    Args:
        num_areas: Length of a draw.
        num_conditions: Number of conditions appended.
        widths: Hidden widths, nearest the draw first.
        latent_dim: Length of the latent vector.
        activation: Name of a function in `flax.nnx`.
        rngs: Random streams for initial values.
    """

    def __init__(
        self,
        num_areas: int,
        num_conditions: int,
        widths: tuple[int, ...],
        latent_dim: int,
        activation: str,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        sizes = (num_areas + num_conditions, *widths)
        self.hidden = nnx.List(
            [
                nnx.Linear(a, b, rngs=rngs, param_dtype=jnp.float32)
                for a, b in itertools.pairwise(sizes)
            ]
        )
        self.mean = nnx.Linear(sizes[-1], latent_dim, rngs=rngs, param_dtype=jnp.float32)
        self.log_sd = nnx.Linear(sizes[-1], latent_dim, rngs=rngs, param_dtype=jnp.float32)
        self.activation = activation

    @property
    def first(self) -> tuple[nnx.Linear, ...]:
        """The layers that see the draw itself."""
        return tuple(self.hidden)[:1] or (self.mean, self.log_sd)

    def __call__(self, draws: jax.Array, unit: jax.Array) -> DiagonalNormal:
        """Encode `(draw, area)` at unit conditions `(cond,)`."""
        x = jnp.concatenate(
            [draws, jnp.broadcast_to(unit, (*draws.shape[:-1], *unit.shape))], axis=-1
        )
        for layer in self.hidden:
            x = getattr(nnx, self.activation)(layer(x))
        return DiagonalNormal(self.mean(x), self.log_sd(x))
