"""Decode with NumPy alone, in float64: golden cases, certificates, other engines' oracle."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from priorvae.decoders.spec import Decoder, Weights
from priorvae.processes.conditions import check_names, unit_vector

__all__ = ["decode", "matrix"]


def decode(
    decoder: Decoder, weights: Weights, z: np.ndarray, hyper: Mapping[str, Any]
) -> np.ndarray:
    """Return `f = D_w(z, theta)`, float64.

    Args:
        decoder: The specification.
        weights: Its weights, of any float type.
        z: Latents, `(latent,)` or `(draw, latent)`.
        hyper: One value for each condition, in its own unit; a label or number of a category.

    Returns:
        `(area,)` or `(draw, area)`.

    Raises:
        ConditionError: A hyperparameter is missing, unknown or outside the trained range.
    """
    check_names(decoder.conditions, hyper)
    for condition in decoder.conditions:
        condition.check(hyper[condition.name])
    unit = unit_vector(decoder.conditions, hyper, np)
    exact = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
    return np.asarray(decoder.apply(exact, np.asarray(z, dtype=np.float64), unit))


def matrix(decoder: Decoder, weights: Weights, hyper: Mapping[str, Any]) -> np.ndarray:
    """Return `A` with `f = A z`, shape `(area, latent)`, for a decoder that is linear in `z`."""
    if not decoder.is_linear:
        raise ValueError("only a decoder that is linear in z has a matrix")
    return decode(decoder, weights, np.eye(decoder.latent_dim), hyper).T
