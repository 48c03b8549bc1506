"""The trainable module built from a decoder's layer records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.decoders.spec import Decoder

__all__ = ["DecoderModule"]


class DecoderModule(nnx.Module):
    """A Flax NNX module whose parameters are the decoder's weights, under their flat names.

    Kernels start as LeCun normals, biases at zero, gates at one; `weights` overrides them.

    Args:
        decoder: The specification.
        rngs: Random streams for initial values.
        weights: Initial weights by flat name; those not given are random.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        rngs: nnx.Rngs,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.decoder = decoder
        given = {**_initial(decoder, rngs), **(weights or {})}
        self.weights = nnx.Dict(
            {name: nnx.Param(jnp.asarray(value, jnp.float32)) for name, value in given.items()}
        )

    def __call__(self, z: jax.Array, unit: jax.Array) -> jax.Array:
        """Decode `z` `(..., latent)` at unit conditions `(cond,)`, shape `(..., area)`."""
        values = {name: parameter[...] for name, parameter in self.weights.items()}
        return self.decoder.apply(values, z, unit)


def _initial(decoder: Decoder, rngs: nnx.Rngs) -> dict[str, jax.Array]:
    return {
        name: _START[decoder.start(name)](rngs.params(), shape, jnp.float32)
        for name, shape in decoder.shapes().items()
    }


def _constant(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """A Chebyshev series that is one everywhere."""
    return jnp.zeros(shape, dtype).at[0].set(1.0)


_START: dict[str, Callable[..., jax.Array]] = {
    "lecun": nnx.initializers.lecun_normal(),
    "small": nnx.initializers.normal(1e-3),
    "zeros": nnx.initializers.zeros_init(),
    "ones": nnx.initializers.ones_init(),
    "constant": _constant,
}
