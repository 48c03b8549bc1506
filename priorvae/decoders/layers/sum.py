"""Branches that are added: residual blocks, and skips that stay linear in z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes
from priorvae.errors import BundleError

__all__ = ["Sum", "apply_all", "shapes_of", "widths_of"]


def widths_of(layers: tuple[Layer, ...], width_in: int, num_conditions: int) -> list[int]:
    """Return the width before the first of some layers and after each."""
    widths = [width_in]
    for layer in layers:
        widths.append(layer.width(widths[-1], num_conditions))
    return widths


def shapes_of(layers: tuple[Layer, ...], width_in: int, num_conditions: int) -> Shapes:
    """Return the shape of every weight of some layers, by `<index>.<weight>`."""
    widths = widths_of(layers, width_in, num_conditions)
    return {
        f"{index}.{name}": shape
        for index, (layer, width) in enumerate(zip(layers, widths, strict=False))
        for name, shape in layer.shapes(width, num_conditions).items()
    }


def apply_all(layers: tuple[Layer, ...], x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
    """Apply layers one after another, with weights by `<index>.<weight>`."""
    for index, layer in enumerate(layers):
        x = layer.apply(x, unit, _within(weights, index))
    return x


def _within(weights: Mapping[str, Any], index: int) -> dict[str, Any]:
    prefix = f"{index}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


@final
@dataclass(frozen=True)
class Sum(Layer):
    """`sum_b branch_b(x)`: each branch is a list of layers, an empty one is `x` itself.

    With an empty branch it is a residual block (He et al. 2016, CVPR); with one of linear layers
    at the start of a decoder, a map linear in `z` that a network corrects.

    Attributes:
        branches: Lists of layers of one output width.
    """

    branches: tuple[tuple[Layer, ...], ...]
    kind: ClassVar[str] = "sum"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the branches' common output width.

        Raises:
            BundleError: They have none in common.
        """
        widths = {widths_of(branch, width_in, num_conditions)[-1] for branch in self.branches}
        if len(widths) != 1:
            raise BundleError(f"the branches of a sum end with widths {sorted(widths)}")
        return widths.pop()

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of every weight, by `<branch>.<index>.<weight>`."""
        return {
            f"{number}.{name}": shape
            for number, branch in enumerate(self.branches)
            for name, shape in shapes_of(branch, width_in, num_conditions).items()
        }

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the sum of the branches' outputs."""
        outputs = [
            apply_all(branch, x, unit, _within(weights, number))
            for number, branch in enumerate(self.branches)
        ]
        return sum(outputs[1:], start=outputs[0])

    @property
    def is_linear(self) -> bool:
        """Linear if every layer in it is."""
        return all(layer.is_linear for branch in self.branches for layer in branch)

    def start(self, name: str) -> str:
        """Return how training starts a weight of a layer within."""
        branch, index, rest = name.split(".", 2)
        return self.branches[int(branch)][int(index)].start(rest)
