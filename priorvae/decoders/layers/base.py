"""What a layer is: its record, weights and arithmetic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["Layer", "Shapes", "Starts"]

Shapes = dict[str, tuple[int, ...]]
"""Shape of each named weight."""

Starts = Mapping[str, str]
"""How training starts each named weight: `lecun`, `small`, `normal`, `zeros`, `ones`, or
`constant`, a series whose first coefficient is one. `given` is none of these: such a weight is a
constant of the map, which must be given and which training never moves."""


class Layer(ABC):
    """One layer record.

    A layer maps `x` of shape `(..., in)` to `(..., out)`, given the unit conditions `u` of shape
    `(cond,)`. The arithmetic is written once, for any array library that follows the array API.

    Attributes:
        kind: Name in a record.
        starts: How training starts the weights.
    """

    kind: ClassVar[str]
    starts: ClassVar[Starts] = {}

    @abstractmethod
    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the layer's output width."""

    @abstractmethod
    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of each named weight."""

    @abstractmethod
    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Apply the layer to `x` `(..., in)` at unit conditions `(cond,)`."""

    @property
    @abstractmethod
    def is_linear(self) -> bool:
        """Whether the output is linear in `x` for given conditions."""

    def start(self, name: str) -> str:
        """Return how training starts a weight."""
        return self.starts[name]

    def record(self) -> dict[str, Any]:
        """Return the layer as the plain mapping that a bundle stores."""
        return {"kind": self.kind, **{k: _plain(v) for k, v in vars(self).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.record()
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
