"""What an encoder and a decoder are trained by: bounds of the evidence, and a discrepancy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
from flax import nnx
from jax.scipy.special import logsumexp

from priorvae.decoders.flax_backend import DecoderModule
from priorvae.objectives.encoders import DiagonalEncoder, FullEncoder, FullNormal

__all__ = ["ELBO", "MMD", "AutoEncoder", "Bound", "Renyi", "squared_mmd"]


class AutoEncoder(nnx.Module):
    """The trainable pair."""

    def __init__(self, encoder: FullEncoder | DiagonalEncoder, decoder: DecoderModule) -> None:
        self.encoder = encoder
        self.decoder = decoder


class Bound(ABC):
    """A loss of an encoder and a decoder, `y | z, theta ~ N(D(z, theta), s^2 I)`, `z ~ N(0, I)`."""

    @abstractmethod
    def parts(
        self, model: AutoEncoder, unit: jax.Array, draws: jax.Array, key: jax.Array, variance: float
    ) -> dict[str, jax.Array]:
        """Return the parts of the loss of a draw, which add up to it.

        Args:
            model: Encoder and decoder.
            unit: Unit conditions, `(group, cond)`.
            draws: `y`, `(group, draw, area)`.
            key: Random key.
            variance: `s^2`.
        """


@final
@dataclass(frozen=True)
class ELBO(Bound):
    """`E_q |y - D(z)|^2 / 2 s^2 + KL(q || N(0, I))`: minus the evidence lower bound.

    For a decoder that is linear in z and a full-covariance encoder the expectation is taken in
    closed form; otherwise by one sample.

    Source: Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR, equation 10.
    """

    def parts(
        self, model: AutoEncoder, unit: jax.Array, draws: jax.Array, key: jax.Array, variance: float
    ) -> dict[str, jax.Array]:
        """Return `reconstruction` and `kl`."""
        keys = jax.random.split(key, len(draws))

        def terms(u: jax.Array, y: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
            posterior = model.encoder(y, u)
            if isinstance(posterior, FullNormal) and model.decoder.decoder.is_linear:
                # E|y - Az|^2 = |y - A m|^2 + tr(A S A'), without sampling z.
                spread = jnp.sum(model.decoder(posterior.root.T, u) ** 2)
                return _square(y - model.decoder(posterior.mean, u)) + spread, posterior.kl()
            return _square(y - model.decoder(posterior.sample(k), u)), posterior.kl()

        errors, divergences = jax.vmap(terms)(unit, draws, keys)
        return {"reconstruction": jnp.mean(errors) / (2 * variance), "kl": jnp.mean(divergences)}


@final
@dataclass(frozen=True)
class Renyi(Bound):
    """`-log mean_k w_k^(1 - alpha) / (1 - alpha)`, `w = p(y, z) / q(z | y)`, `z_k ~ q`.

    At alpha = 1 it is minus the evidence lower bound, by as many samples; at 0 minus the
    importance-weighted one, which grows to the log marginal likelihood with the samples. Constants
    of the likelihood are left out, as in the others.

    Source: Li and Turner (2016), Renyi divergence variational inference, NeurIPS, equation 13;
    Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders, ICLR, for alpha = 0.

    Attributes:
        alpha: Order, at least 0.
        samples: Importance samples for each draw.
    """

    alpha: float
    samples: int

    def parts(
        self, model: AutoEncoder, unit: jax.Array, draws: jax.Array, key: jax.Array, variance: float
    ) -> dict[str, jax.Array]:
        """Return `renyi`."""
        keys = jax.random.split(key, len(draws))

        def bound(u: jax.Array, y: jax.Array, k: jax.Array) -> jax.Array:
            latents, log_weights = model.encoder(y, u).weighted(k, self.samples)
            errors = jnp.sum((y - model.decoder(latents, u)) ** 2, axis=-1)
            log_weights = log_weights - errors / (2 * variance)
            if self.alpha == 1:
                return jnp.mean(log_weights)
            order = 1 - self.alpha
            tilted = logsumexp(order * log_weights, axis=0) - math.log(self.samples)
            return jnp.mean(tilted) / order

        return {"renyi": -jnp.mean(jax.vmap(bound)(unit, draws, keys))}


@final
@dataclass(frozen=True)
class MMD(Bound):
    """`a |y - D(z)|^2 / 2 s^2 + b KL(q || N(0, I)) + c MMD^2`, by one sample of `z ~ q`.

    The discrepancy is between the draws and either their reconstructions, as published, or
    decoded draws of N(0, I), which are what inference uses. It compares them pooled over theta, as
    published, or, with a kernel between unit conditions that multiplies the one between fields,
    given theta.

    Source: Semenova et al. (2023), PriorCVAE, arXiv 2304.04307, and the losses of its code; Gretton
    et al. (2012), A kernel two-sample test, JMLR 13, equation 4.

    Attributes:
        lengthscale: Of the RBF kernel between fields.
        against: `reconstructions` or `prior`.
        condition_lengthscale: Of the RBF kernel between unit conditions; None to pool.
        mmd_weight: `c`.
        reconstruction_weight: `a`.
        kl_weight: `b`.
    """

    lengthscale: float
    against: str
    condition_lengthscale: float | None
    mmd_weight: float
    reconstruction_weight: float
    kl_weight: float

    def parts(
        self, model: AutoEncoder, unit: jax.Array, draws: jax.Array, key: jax.Array, variance: float
    ) -> dict[str, jax.Array]:
        """Return `reconstruction`, `kl` and `mmd`, each with its weight."""
        keys = jax.random.split(key, (len(draws), 2))

        def decoded(u: jax.Array, y: jax.Array, k: jax.Array) -> tuple[jax.Array, ...]:
            posterior = model.encoder(y, u)
            latents = posterior.sample(k[0])
            fields = model.decoder(latents, u)
            error, divergence = _square(y - fields), posterior.kl()
            if self.against == "prior":
                fields = model.decoder(jax.random.normal(k[1], latents.shape, latents.dtype), u)
            return error, divergence, fields

        errors, divergences, fields = jax.vmap(decoded)(unit, draws, keys)
        return {
            "reconstruction": self.reconstruction_weight * jnp.mean(errors) / (2 * variance),
            "kl": self.kl_weight * jnp.mean(divergences),
            "mmd": self.mmd_weight * self._discrepancy(unit, draws, fields),
        }

    def _discrepancy(self, unit: jax.Array, draws: jax.Array, fields: jax.Array) -> jax.Array:
        first, second = (part.reshape(-1, part.shape[-1]) for part in (draws, fields))
        each = draws.shape[1]
        length = self.condition_lengthscale
        near = None if length is None else _rbf(unit, unit, length).repeat(each, 0).repeat(each, 1)
        return squared_mmd(first, second, self.lengthscale, near)


def squared_mmd(
    first: jax.Array, second: jax.Array, lengthscale: float, near: jax.Array | None = None
) -> jax.Array:
    """Return the unbiased squared maximum mean discrepancy of as many draws of either kind.

    `sum_{i != j} [k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)] / m (m - 1)` with
    `k(a, b) = exp(-|a - b|^2 / 2 l^2)`. Pairs `(x_i, y_i)` share their theta, and are left out.

    Source: Gretton et al. (2012), A kernel two-sample test, JMLR 13, equation 4.

    Args:
        first: Draws `(draw, area)`.
        second: As many of the other kind; the i-th has the i-th one's theta.
        lengthscale: `l`.
        near: A kernel between their conditions, `(draw, draw)`, to multiply `k` by.
    """
    num = len(first)
    within = _rbf(first, first, lengthscale) + _rbf(second, second, lengthscale)
    # Its transpose has the same sum.
    terms = within - 2 * _rbf(first, second, lengthscale)
    weights = jnp.ones_like(terms) if near is None else near
    return jnp.sum((1 - jnp.eye(num, dtype=terms.dtype)) * weights * terms) / (num * (num - 1))


def _rbf(first: jax.Array, second: jax.Array, lengthscale: float) -> jax.Array:
    squares = jnp.sum(first**2, axis=-1)[:, None] + jnp.sum(second**2, axis=-1)
    distances = jnp.maximum(squares - 2 * first @ second.T, 0.0)
    return jnp.exp(-0.5 * distances / lengthscale**2)


def _square(residuals: jax.Array) -> jax.Array:
    """Return the mean over the draws of the squared length, `(draw, area)` to a number."""
    return jnp.mean(jnp.sum(residuals**2, axis=-1))
