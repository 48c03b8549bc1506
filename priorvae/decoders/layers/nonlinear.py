"""Layers that are not linear in x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes, Starts
from priorvae.errors import BundleError, nearest
from priorvae.processes import chebyshev

__all__ = ["ACTIVATIONS", "Activation", "ConcatCondition", "FiLM", "LayerNorm", "standardised"]

ACTIVATIONS = ("relu", "elu", "gelu", "tanh", "sigmoid", "softplus", "sin", "exp")

_SMALLEST_VARIANCE = 1e-6


def standardised(x: Any) -> Any:
    """Return `(x - mean) / sqrt(variance + 1e-6)`, moments over the last axis."""
    xp = x.__array_namespace__()
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred**2, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + _SMALLEST_VARIANCE)


@final
@dataclass(frozen=True)
class Activation(Layer):
    """An element-wise non-linearity."""

    function: str
    kind: ClassVar[str] = "activation"

    def __post_init__(self) -> None:
        if self.function not in ACTIVATIONS:
            raise BundleError(
                f"unknown activation {self.function!r}{nearest(self.function, ACTIVATIONS)}; "
                f"known: {', '.join(ACTIVATIONS)}"
            )

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return nothing: there are no weights."""
        return {}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `function(x)`."""
        xp = x.__array_namespace__()
        match self.function:
            case "relu":
                return xp.maximum(x, xp.zeros_like(x))
            case "elu":
                return xp.where(x > 0, x, xp.expm1(xp.minimum(x, xp.zeros_like(x))))
            case "tanh":
                return xp.tanh(x)
            case "gelu":
                # The usual approximation by tanh (Hendrycks and Gimpel 2016), so that every engine
                # computes the same.
                return 0.5 * x * (1 + xp.tanh((2 / xp.pi) ** 0.5 * (x + 0.044715 * x**3)))
            case "exp":
                return xp.exp(x)
            case "sigmoid":
                return 0.5 * (xp.tanh(0.5 * x) + 1)
            case "sin":
                return xp.sin(x)
            case _:
                return xp.logaddexp(x, xp.zeros_like(x))

    @property
    def is_linear(self) -> bool:
        """Never linear."""
        return False


@final
@dataclass(frozen=True)
class ConcatCondition(Layer):
    """`[x, u]`: the unit conditions appended, as in PriorCVAE (Semenova et al. 2023)."""

    kind: ClassVar[str] = "concat-condition"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width plus the number of conditions."""
        return width_in + num_conditions

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return nothing: there are no weights."""
        return {}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x` with `u` behind each of its rows."""
        xp = x.__array_namespace__()
        return xp.concat([x, xp.broadcast_to(unit, (*x.shape[:-1], *unit.shape))], axis=-1)

    @property
    def is_linear(self) -> bool:
        """Not linear: `u` is an offset."""
        return False


@final
@dataclass(frozen=True)
class FiLM(Layer):
    """`x * (T(u) A) + T(u) B`: feature-wise linear modulation by the conditions.

    Source: Perez et al. (2018), FiLM: visual reasoning with a general conditioning layer, AAAI.

    Attributes:
        degrees: Chebyshev degree in each condition.
    """

    degrees: tuple[int, ...]
    kind: ClassVar[str] = "film"
    starts: ClassVar[Starts] = {"scale": "constant", "shift": "zeros"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `scale` and `shift`, `(basis, in)`."""
        basis = chebyshev.size(self.degrees)
        return {"scale": (basis, width_in), "shift": (basis, width_in)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x * (T(u) A) + T(u) B`."""
        basis = chebyshev.features(unit, self.degrees)
        return x * (basis @ weights["scale"]) + basis @ weights["shift"]

    @property
    def is_linear(self) -> bool:
        """Not linear: there is a shift."""
        return False


@final
@dataclass(frozen=True)
class LayerNorm(Layer):
    """`(x - mean) / sqrt(variance + 1e-6) * a + b`, moments over the elements.

    Source: Ba, Kiros and Hinton (2016), Layer normalization, arXiv 1607.06450.
    """

    kind: ClassVar[str] = "layer-norm"
    starts: ClassVar[Starts] = {"scale": "ones", "bias": "zeros"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `scale` and `bias`, `(in,)`."""
        return {"scale": (width_in,), "bias": (width_in,)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the normalised `x`, scaled and shifted."""
        return standardised(x) * weights["scale"] + weights["bias"]

    @property
    def is_linear(self) -> bool:
        """Not linear."""
        return False
