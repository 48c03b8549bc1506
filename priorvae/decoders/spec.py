"""The specification of a decoder: its conditions and layer records, apart from any back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from priorvae.decoders.layers import Layer, layer_from_record
from priorvae.decoders.layers.records import nested
from priorvae.decoders.layers.sum import apply_all, shapes_of, widths_of
from priorvae.errors import BundleError
from priorvae.processes.conditions import Condition

__all__ = ["Decoder", "Weights"]

Weights = Mapping[str, Any]
"""Flat names `layers.<index>.<weight>` to arrays, as stored in `decoder.safetensors`."""

_PREFIX = "layers."


@dataclass(frozen=True)
class Decoder:
    """`f = D_w(z, theta)`: what the weights mean.

    Attributes:
        latent_dim: Length of `z`.
        num_areas: Length of `f`.
        conditions: The hyperparameters `theta`, in the order the layers see them.
        layers: Applied in order, the first to `z`.

    Raises:
        BundleError: The layers do not end with `num_areas` outputs, or a layer's degrees do not
            match the number of conditions.
    """

    latent_dim: int
    num_areas: int
    conditions: tuple[Condition, ...]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        for layer in nested(self.layers):
            degrees = getattr(layer, "degrees", None)
            if degrees is not None and len(degrees) != len(self.conditions):
                raise BundleError(
                    f"a layer of kind {layer.kind} has degrees {degrees} for "
                    f"{len(self.conditions)} conditions"
                )
        if self.widths[-1] != self.num_areas:
            raise BundleError(
                f"the layers end with {self.widths[-1]} outputs, and there are "
                f"{self.num_areas} areas"
            )

    @property
    def widths(self) -> list[int]:
        """Width before the first layer and after each layer."""
        return widths_of(self.layers, self.latent_dim, len(self.conditions))

    @property
    def is_linear(self) -> bool:
        """Whether `f` is linear in `z` for given conditions."""
        return all(layer.is_linear for layer in self.layers)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight, by flat name."""
        inner = shapes_of(self.layers, self.latent_dim, len(self.conditions))
        return {_PREFIX + name: shape for name, shape in inner.items()}

    def check_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Refuse weights whose names or shapes are not those of the layers.

        Raises:
            BundleError: Naming the first weight that does not fit, or that is not finite.
        """
        expected = self.shapes()
        if odd := sorted(set(weights) ^ set(expected)):
            raise BundleError(
                f"weights do not match the layer records: {odd[0]!r} is "
                f"{'not in the records' if odd[0] in weights else 'missing'}"
            )
        for name, shape in expected.items():
            if weights[name].shape != shape:
                raise BundleError(
                    f"weight {name!r} has shape {weights[name].shape}, its layer needs {shape}"
                )
            if not np.isfinite(weights[name]).all():
                raise BundleError(f"weight {name!r} holds values that are not finite")

    def apply(self, weights: Weights, z: Any, unit: Any) -> Any:
        """Run the layers on `z` `(..., latent)` at unit conditions `(cond,)`; any array library."""
        own = {name.removeprefix(_PREFIX): weight for name, weight in weights.items()}
        return apply_all(self.layers, z, unit, own)

    def start(self, name: str) -> str:
        """Return how training starts a weight (see `priorvae.decoders.layers.base.Starts`)."""
        index, rest = name.removeprefix(_PREFIX).split(".", 1)
        return self.layers[int(index)].start(rest)

    def records(self) -> list[dict[str, Any]]:
        """Return the layers as the plain mappings that a bundle stores."""
        return [layer.record() for layer in self.layers]

    @classmethod
    def from_records(
        cls,
        records: list[dict[str, Any]],
        latent_dim: int,
        num_areas: int,
        conditions: tuple[Condition, ...],
    ) -> Decoder:
        """Build a specification from a bundle's records.

        Raises:
            BundleError: A record is unknown or malformed, or the widths do not fit.
        """
        layers = tuple(layer_from_record(record) for record in records)
        return cls(latent_dim, num_areas, conditions, layers)
