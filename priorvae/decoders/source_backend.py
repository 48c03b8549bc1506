"""Write a decoder as JAX source code: plain statements for those who vendor it.

The statements of a layer are those of its `apply`, with sizes and weights' names filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from priorvae.decoders.layers import (
    Activation,
    ConcatCondition,
    Dense,
    FiLM,
    Flatten,
    Gate,
    KernelAttention,
    Layer,
    LayerNorm,
    Mixture,
    Radial,
    Scale,
    SpatialGate,
    Sum,
    Tokens,
)
from priorvae.decoders.layers.records import nested
from priorvae.decoders.spec import Decoder
from priorvae.errors import BundleError
from priorvae.processes.conditions import Condition

__all__ = ["statements", "unit_expression", "uses_norm", "uses_series"]

_ACTIVATIONS: Mapping[str, str] = {
    "relu": "jnp.maximum({x}, 0)",
    "elu": "jnp.where({x} > 0, {x}, jnp.expm1(jnp.minimum({x}, 0)))",
    "gelu": "0.5 * {x} * (1 + jnp.tanh((2 / jnp.pi) ** 0.5 * ({x} + 0.044715 * {x}**3)))",
    "tanh": "jnp.tanh({x})",
    "sigmoid": "0.5 * (jnp.tanh(0.5 * {x}) + 1)",
    "softplus": "jnp.logaddexp({x}, jnp.zeros_like({x}))",
    "sin": "jnp.sin({x})",
    "exp": "jnp.exp({x})",
}


def statements(decoder: Decoder) -> list[str]:
    """Return statements that turn `x`, the latents, into `f`, in place; with comments.

    They see the unit conditions `u` `(cond,)` and the weights `w` by flat name, and call `_series`
    (a Chebyshev basis) and `_standardised`.
    """
    return _Writer("x", "layers.").all_of(decoder.layers)


def uses_series(decoder: Decoder) -> bool:
    """Whether the statements call `_series`."""
    return any(hasattr(layer, "degrees") for layer in nested(decoder.layers))


def uses_norm(decoder: Decoder) -> bool:
    """Whether the statements call `_standardised`."""
    return any(
        isinstance(layer, LayerNorm) or getattr(layer, "normalise", False)
        for layer in nested(decoder.layers)
    )


def unit_expression(condition: Condition, value: str) -> str:
    """Return the expression of a condition's position in [-1, 1], as `Condition.to_unit` has it."""
    if condition.labels:
        return f"jnp.cos(jnp.pi * (jnp.round({value}) + 0.5) / {len(condition.labels)})"
    forward = {
        "identity": "{v}",
        "log": "jnp.log({v})",
        "log1m": "-jnp.log1p(-{v})",
        "arcsine": "jnp.arcsin(jnp.sqrt(jnp.clip({v}, 0.0, 1.0)))",
        "asin": "jnp.arcsin(jnp.clip({v}, -1.0, 1.0))",
    }[condition.transform].format(v=value)
    low, width = condition.scaled_range
    return f"2 * ({forward} - {_literal(low)}) / {_literal(width)} - 1"


def _literal(number: float) -> str:
    return f"({number!r})" if number < 0 else repr(number)


@final
@dataclass(frozen=True)
class _Writer:
    """Writes layers that read and assign one variable.

    Attributes:
        x: Name of the variable.
        prefix: What the names of the layers' weights begin with.
    """

    x: str
    prefix: str

    def all_of(self, layers: tuple[Layer, ...]) -> list[str]:
        return [line for index, layer in enumerate(layers) for line in self.one(f"{index}.", layer)]

    def one(self, index: str, layer: Layer) -> list[str]:
        """Return a comment that names the layer, and its statements."""
        inner = _Writer(self.x, self.prefix + index)
        return [f"# {inner.prefix.removesuffix('.')}: {layer.kind}", *inner.body(layer)]

    def w(self, name: str) -> str:
        return f'w["{self.prefix}{name}"]'

    def series(self, degrees: tuple[int, ...], name: str) -> str:
        return f"_series(u, {degrees}) @ {self.w(name)}"

    def body(self, layer: Layer) -> list[str]:
        x = self.x
        match layer:
            case Dense():
                bias = f" + {self.w('bias')}" if layer.bias else ""
                return [f"{x} = {x} @ {self.w('kernel')}{bias}"]
            case Activation():
                return [f"{x} = {_ACTIVATIONS[layer.function].format(x=x)}"]
            case ConcatCondition():
                return [f"{x} = {_beside(x, f'jnp.broadcast_to(u, (*{x}.shape[:-1], *u.shape))')}"]
            case Gate():
                return [f"{x} = {x} * ({self.series(layer.degrees, 'coefficients')})"]
            case Mixture():
                return [
                    f"mix = {self.series(layer.degrees, 'coefficients')}",
                    f"{x} = {x} @ jnp.tensordot(mix, {self.w('kernels')}, axes=1)",
                ]
            case FiLM():
                return [
                    f"basis = _series(u, {layer.degrees})",
                    f"{x} = {x} * (basis @ {self.w('scale')}) + basis @ {self.w('shift')}",
                ]
            case LayerNorm():
                return [f"{x} = _standardised({x}) * {self.w('scale')} + {self.w('bias')}"]
            case Scale():
                return [f"{x} = {x} * {self.w('scale')}"]
            case Tokens():
                parts = f"{x}[..., None], {self.w('places')}"
                return [f"{x} = {_beside(parts, f'jnp.broadcast_to(u, (*{x}.shape, *u.shape))')}"]
            case Flatten():
                return [f"{x} = {x}[..., 0]"]
            case Radial():
                distance = f"({x}[..., None, :] - {self.w('centres')}) ** 2"
                return [f"{x} = jnp.exp(-jnp.sum({distance}, axis=-1))"]
            case SpatialGate():
                return self._gate(layer)
            case KernelAttention():
                return self._attention(layer)
            case Sum():
                return self._sum(layer)
            case _:
                raise BundleError(f"a layer of kind {layer.kind!r} is not known to the JAX source")

    def _gate(self, layer: SpatialGate) -> list[str]:
        x = self.x
        normalise = f"gate = _standardised(gate) * {self.w('scale')} + {self.w('shift')}"
        return [
            f"{x}, gate = jnp.split({x}, 2, axis=-1)",
            *([normalise] if layer.normalise else []),
            f"{x} = {x} * ({self.w('kernel')} @ gate + {self.w('bias')})",
        ]

    def _attention(self, layer: KernelAttention) -> list[str]:
        x = self.x
        return [
            f"strength = jnp.exp({self.series(layer.degrees, 'strength')})[:, None, None]",
            f"decay = jnp.exp({self.series(layer.degrees, 'decay')})[:, None, None]",
            f"places = {self.w('places')}",
            "square = jnp.sum((places[:, None, :] - places[None, :, :]) ** 2, axis=-1)",
            "shares = jnp.exp(strength * (jnp.exp(-decay * square) - 1))",
            "shares = shares / jnp.sum(shares, axis=-1, keepdims=True)",
            f"heads = jnp.moveaxis({x}.reshape({layer.areas}, {layer.heads}, -1), -2, -3)",
            f"{x} = jnp.moveaxis(shares @ heads, -3, -2).reshape({x}.shape)",
        ]

    def _sum(self, layer: Sum) -> list[str]:
        """Each branch starts from the same value, in a variable of its own."""
        names = [f"{self.x}_{number}" for number in range(len(layer.branches))]
        lines = []
        for number, (name, branch) in enumerate(zip(names, layer.branches, strict=True)):
            lines.append(f"{name} = {self.x}")
            lines += _Writer(name, f"{self.prefix}{number}.").all_of(branch)
        return [*lines, f"{self.x} = {' + '.join(names)}"]


def _beside(left: str, right: str) -> str:
    return f"jnp.concat([{left}, {right}], axis=-1)"
