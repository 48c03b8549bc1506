"""Layers that are linear in x: dense, and matrices and gates that follow the conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes, Starts
from priorvae.processes import chebyshev

__all__ = ["Dense", "Gate", "Mixture", "Scale"]


@final
@dataclass(frozen=True)
class Dense(Layer):
    """`x W + b`, with `W` stored `(in, out)`; without the bias it is linear in `x`."""

    units: int
    bias: bool = True
    kind: ClassVar[str] = "dense"
    starts: ClassVar[Starts] = {"kernel": "lecun", "bias": "zeros"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return `units`."""
        return self.units

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `kernel` and, if there is one, `bias`."""
        kernel: Shapes = {"kernel": (width_in, self.units)}
        return kernel | {"bias": (self.units,)} if self.bias else kernel

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x W + b`."""
        y = x @ weights["kernel"]
        return y + weights["bias"] if self.bias else y

    @property
    def is_linear(self) -> bool:
        """Linear if there is no bias."""
        return not self.bias


@final
@dataclass(frozen=True)
class Gate(Layer):
    """`x * g(u)`, `g(u) = T(u) C` a Chebyshev series in the unit conditions for each element.

    Attributes:
        degrees: Chebyshev degree in each condition.
    """

    degrees: tuple[int, ...]
    kind: ClassVar[str] = "gate"
    starts: ClassVar[Starts] = {"coefficients": "constant"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of `coefficients`, `(basis, in)`."""
        return {"coefficients": (chebyshev.size(self.degrees), width_in)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x * (T(u) C)`."""
        return x * (chebyshev.features(unit, self.degrees) @ weights["coefficients"])

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True


@final
@dataclass(frozen=True)
class Mixture(Layer):
    """`sum_r c_r(u) M_r x`, `c(u) = T(u) C`: one matrix interpolated over the conditions.

    Attributes:
        units: Output width.
        rank: Number of matrices.
        degrees: Chebyshev degree in each condition.
    """

    units: int
    rank: int
    degrees: tuple[int, ...]
    kind: ClassVar[str] = "mixture"
    starts: ClassVar[Starts] = {"coefficients": "lecun", "kernels": "lecun"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return `units`."""
        return self.units

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `coefficients` `(basis, rank)` and `kernels` `(rank, in, out)`."""
        return {
            "coefficients": (chebyshev.size(self.degrees), self.rank),
            "kernels": (self.rank, width_in, self.units),
        }

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `sum_r c_r(u) (x M_r)`."""
        xp = x.__array_namespace__()
        mix = chebyshev.features(unit, self.degrees) @ weights["coefficients"]
        return x @ xp.tensordot(mix, weights["kernels"], axes=1)

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True


@final
@dataclass(frozen=True)
class Scale(Layer):
    """`x * w`, one weight for each element."""

    kind: ClassVar[str] = "scale"
    starts: ClassVar[Starts] = {"scale": "ones"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of `scale`, `(in,)`."""
        return {"scale": (width_in,)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x * w`."""
        return x * weights["scale"]

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True
