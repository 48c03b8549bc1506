"""What a gradient through a prior costs: the price of every leapfrog step of a sampler."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from priorvae.inference.prior import SpatialPrior

__all__ = ["gradient_seconds", "log_density", "quickest"]

_STEP = 1e-4
"""Of the gradient ascent that chains the gradients: small, so that none overflows."""

_RUNS = 5
_LARGEST = 20_000


def gradient_seconds(prior: SpatialPrior, dtype: str, *, seconds: float = 1.5) -> float:
    """Return the CPU seconds of one gradient of a log density over latents and hyperparameters.

    The density is that of a Poisson regression on counts of 1,

        log p(z, u) = sum_i (f_i - exp f_i) - z'z / 2 + sum_k log(1 - tanh(u_k)^2),
        f = D(z, theta(u)),

    where `tanh(u_k)` is the position of hyperparameter k in its trained range. Gradients follow one
    another inside one compiled loop on the CPU, as they do in a sampler, so that no call of Python
    is in the figure; it is the quickest of five runs.

    Args:
        prior: A bundle, or the process itself (`ExactPrior`).
        dtype: Float type of the latents, `float32` or `float64`.
        seconds: CPU seconds that it is measured over, about.
    """
    with jax.default_device(jax.devices("cpu")[0]), threadpool_limits(1, user_api="blas"):
        many, start = _chain(prior, dtype)
        return quickest(lambda num: jax.block_until_ready(many(start, num)), seconds)


def _chain(prior: SpatialPrior, dtype: str) -> tuple[Callable, tuple[jax.Array, jax.Array]]:
    """Return the compiled loop over gradients, and where it starts."""
    gradient = jax.grad(lambda at: log_density(prior, *at))
    start = (
        jax.random.normal(jax.random.key(0), (prior.latent_dim,), dtype),
        jnp.full(len(prior.conditions), 0.1, dtype),
    )

    def one(_: int, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        moved: tuple[jax.Array, jax.Array] = jax.tree.map(
            lambda value, slope: value + _STEP * slope, at, gradient(at)
        )
        return moved

    return jax.jit(lambda at, num: jax.lax.fori_loop(0, num, one, at)), start


def log_density(prior: SpatialPrior, z: jax.Array, u: jax.Array) -> jax.Array:
    """Return the log density of `gradient_seconds`, up to a constant.

    Args:
        prior: The prior.
        z: Latents `(latent,)`.
        u: Unconstrained hyperparameters `(cond,)`.
    """
    position = jnp.tanh(u)
    hyper = {c.name: c.from_unit(position[i]) for i, c in enumerate(prior.conditions)}
    f = prior.decode(z, hyper).astype(z.dtype)
    return jnp.sum(f - jnp.exp(f)) - z @ z / 2 + jnp.sum(jnp.log1p(-(position**2)))


def quickest(call: Callable[[int], object], seconds: float) -> float:
    """Return the CPU seconds of one of `num` repetitions in the quickest of five runs.

    Args:
        call: Does a thing so many times, and returns when it is done.
        seconds: CPU seconds of the five runs, about.
    """

    def each(num: int) -> float:
        start = time.process_time()
        call(num)
        return (time.process_time() - start) / num

    call(1)  # compiles
    num = max(1, min(_LARGEST, int(seconds / _RUNS / max(each(3), 1e-6))))
    return min(each(num) for _ in range(_RUNS))
