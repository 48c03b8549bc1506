"""Layers that see every area as a token: what gated MLPs over areas are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes, Starts
from priorvae.decoders.layers.nonlinear import standardised

__all__ = ["Flatten", "SpatialGate", "Tokens"]


@final
@dataclass(frozen=True)
class Tokens(Layer):
    """`(..., area)` to `(..., area, 1 + place + cond)`: each area's value, place and `u`.

    Attributes:
        areas: Number of areas.
        places: Coordinates of a place, such as 2.
    """

    areas: int
    places: int
    kind: ClassVar[str] = "tokens"
    starts: ClassVar[Starts] = {"places": "given"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the number of channels."""
        return 1 + self.places + num_conditions

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of the constant `places`, `(area, place)`."""
        return {"places": (self.areas, self.places)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the value, the place and `u` of each area, side by side."""
        xp = x.__array_namespace__()
        rows = (*x.shape, self.places)
        places = xp.broadcast_to(weights["places"], rows)
        shared = xp.broadcast_to(unit, (*x.shape, *unit.shape))
        return xp.concat([x[..., None], places, shared], axis=-1)

    @property
    def is_linear(self) -> bool:
        """Not linear: places and conditions are offsets."""
        return False


@final
@dataclass(frozen=True)
class SpatialGate(Layer):
    """`a * (W b + c)`: one half of the channels gates the other, mixed over the areas.

    `x = [a, b]` of shape `(..., area, 2 channel)`; `W` is `(area, area)`, `c` one number an area.
    With `normalise`, `b` is first normalised over its channels, scaled and shifted.

    Source: Liu et al. (2021), Pay attention to MLPs, NeurIPS, section 2.1.

    Attributes:
        areas: Number of areas.
        normalise: Whether `b` passes through a layer norm, as in the source.
    """

    areas: int
    normalise: bool = False
    kind: ClassVar[str] = "spatial-gate"
    starts: ClassVar[Starts] = {
        "kernel": "small",
        "bias": "ones",
        "scale": "ones",
        "shift": "zeros",
    }

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return half the channels."""
        return width_in // 2

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `kernel`, `bias` and, to normalise, `scale` and `shift`."""
        mixing: Shapes = {"kernel": (self.areas, self.areas), "bias": (self.areas, 1)}
        half = (width_in // 2,)
        return mixing | {"scale": half, "shift": half} if self.normalise else mixing

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `a * (W b + c)`."""
        half = x.shape[-1] // 2
        gate = x[..., half : 2 * half]
        if self.normalise:
            gate = standardised(gate) * weights["scale"] + weights["shift"]
        return x[..., :half] * (weights["kernel"] @ gate + weights["bias"])

    @property
    def is_linear(self) -> bool:
        """Not linear: it is a product."""
        return False


@final
@dataclass(frozen=True)
class Flatten(Layer):
    """`(..., area, 1)` to `(..., area)`: the last layer of a network over tokens.

    Attributes:
        areas: Number of areas.
    """

    areas: int
    kind: ClassVar[str] = "flatten"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the number of areas."""
        return self.areas

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return nothing: there are no weights."""
        return {}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the only channel."""
        return x[..., 0]

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True
