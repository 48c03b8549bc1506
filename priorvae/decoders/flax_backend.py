"""The trainable module built from a decoder's layer records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.decoders.spec import Decoder

__all__ = ["Constant", "DecoderModule"]


class Constant(nnx.Variable):
    """A weight that training never moves: no parameter, so that no optimiser sees it."""


class DecoderModule(nnx.Module):
    """A Flax NNX module whose parameters are the decoder's weights, under their flat names.

    Kernels start as LeCun normals, biases at zero, gates at one; `weights` overrides them. Those
    that start as `given` are constants of the map.

    Args:
        decoder: The specification.
        rngs: Random streams for initial values.
        weights: Initial weights by flat name; those not given are random.

    Raises:
        ValueError: A weight that starts as `given` is not among `weights`.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        rngs: nnx.Rngs,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.decoder = decoder
        given = {**_initial(decoder, rngs, set(weights or {})), **(weights or {})}
        self.weights = nnx.Dict(
            {
                name: _variable(decoder, name)(jnp.asarray(value, jnp.float32))
                for name, value in given.items()
            }
        )

    def __call__(self, z: jax.Array, unit: jax.Array) -> jax.Array:
        """Decode `z` `(..., latent)` at unit conditions `(cond,)`, shape `(..., area)`."""
        values = {name: parameter[...] for name, parameter in self.weights.items()}
        return self.decoder.apply(values, z, unit)


def _variable(decoder: Decoder, name: str) -> type[nnx.Variable]:
    return Constant if decoder.start(name) == "given" else nnx.Param


def _initial(decoder: Decoder, rngs: nnx.Rngs, given: set[str]) -> dict[str, jax.Array]:
    """Return random weights; a constant that is not given is an error of the caller's."""
    starts = {name: decoder.start(name) for name in decoder.shapes()}
    if missing := sorted(n for n, start in starts.items() if start == "given" and n not in given):
        raise ValueError(f"{missing[0]} is a constant of the map: it must be among the weights")
    return {
        name: _START[starts[name]](rngs.params(), shape, jnp.float32)
        for name, shape in decoder.shapes().items()
        if starts[name] != "given"
    }


def _constant(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """A Chebyshev series that is one everywhere."""
    return jnp.zeros(shape, dtype).at[0].set(1.0)


_START: dict[str, Callable[..., jax.Array]] = {
    "lecun": nnx.initializers.lecun_normal(),
    "small": nnx.initializers.normal(1e-3),
    "normal": nnx.initializers.normal(1.0),
    "zeros": nnx.initializers.zeros_init(),
    "ones": nnx.initializers.ones_init(),
    "constant": _constant,
}
