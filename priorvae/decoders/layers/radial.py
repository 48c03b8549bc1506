"""Radial basis functions of a place: the first layer of the published piVAE's feature map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes, Starts

__all__ = ["Radial"]


@final
@dataclass(frozen=True)
class Radial(Layer):
    """`exp(-||x - c_i||^2)` for each of the centres `c_i`.

    Source: Mishra et al. (2022), piVAE: encoding stochastic process priors with variational
    autoencoders, Statistics and Computing 32, section 3.

    Attributes:
        units: Number of centres.
    """

    units: int
    kind: ClassVar[str] = "radial"
    starts: ClassVar[Starts] = {"centres": "normal"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return `units`."""
        return self.units

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of `centres`, `(units, in)`."""
        return {"centres": (self.units, width_in)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the functions' values."""
        xp = x.__array_namespace__()
        return xp.exp(-xp.sum((x[..., None, :] - weights["centres"]) ** 2, axis=-1))

    @property
    def is_linear(self) -> bool:
        """Not linear."""
        return False
