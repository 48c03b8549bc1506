"""Decode with JAX: traceable, differentiable, vectorisable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from priorvae.decoders.spec import Decoder, Weights
from priorvae.processes.conditions import check_names, unit_vector

__all__ = ["decode"]


def decode(decoder: Decoder, weights: Weights, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
    """Return `f = D_w(z, theta)` in the float type of `z`.

    Hyperparameters may be traced, so their values are checked only where they are concrete.

    Args:
        decoder: The specification.
        weights: Its weights.
        z: Latents, `(latent,)`.
        hyper: One value for each condition, in its own unit; a label or number of a category.

    Returns:
        One value per area, `(area,)`.

    Raises:
        ConditionError: A hyperparameter is missing, unknown or, where concrete, out of range.
    """
    check_names(decoder.conditions, hyper)
    for condition in decoder.conditions:
        value = hyper[condition.name]
        if not isinstance(value, jax.core.Tracer):
            condition.check(value)
    unit = unit_vector(decoder.conditions, hyper, jnp).astype(z.dtype)
    typed = {name: jnp.asarray(value, dtype=z.dtype) for name, value in weights.items()}
    return jnp.asarray(decoder.apply(typed, z, unit))
