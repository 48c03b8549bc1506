"""The features of a place: what lets a decoder speak of places it has no area at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np

from priorvae.areas.box import Box
from priorvae.decoders.spec import Decoder
from priorvae.errors import BundleError

__all__ = ["PREFIX", "FeatureMap"]

PREFIX = "features."
"""Of the weights' flat names, where a decoder's begin with `layers.`."""

_COORDINATES = 2
_LAYERS = "layers."


@final
@dataclass(frozen=True, eq=False)
class FeatureMap:
    """`Phi(s)`: layer records that take the coordinates of a place instead of latents.

    A decoder whose last layer is `Phi` at its areas, `f = D(z, theta)' Phi(s)`, has with `Phi` at
    other places a value there, from the same `z`.

    Attributes:
        network: The layers; from two coordinates, without conditions.
        box: Where they hold; they see a place as `box.unit` gives it.
        weights: By flat name `features.<index>.<weight>`.
    """

    network: Decoder
    box: Box
    weights: Mapping[str, np.ndarray]

    @property
    def width(self) -> int:
        """Number of features."""
        return self.network.num_areas

    def at(self, places: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Evaluate the features at places `(place, 2)` in km, `(place, feature)`, float64.

        Raises:
            AreasError: A place lies outside the box.
        """
        self.box.check(places, names)
        exact = {k: np.asarray(v, dtype=np.float64) for k, v in self._as_layers().items()}
        return np.asarray(self.network.apply(exact, self.box.unit(places), np.zeros(0)))

    def check_weights(self) -> None:
        """Refuse weights whose names or shapes are not those of the layers.

        Raises:
            BundleError: Naming the first weight that does not fit, or that is not finite.
        """
        try:
            self.network.check_weights(self._as_layers())
        except BundleError as error:
            raise BundleError(f"features: {error}") from None

    def _as_layers(self) -> dict[str, np.ndarray]:
        return {_LAYERS + k.removeprefix(PREFIX): v for k, v in self.weights.items()}

    @classmethod
    def from_layers(cls, network: Decoder, box: Box, weights: Mapping[str, np.ndarray]) -> Self:
        """Build a map from a network's weights under their own names, `layers.<index>.<weight>`."""
        named = {PREFIX + k.removeprefix(_LAYERS): v for k, v in weights.items()}
        return cls(network, box, named)

    @classmethod
    def from_records(
        cls,
        records: list[dict[str, Any]],
        width: int,
        box: Box,
        weights: Mapping[str, np.ndarray],
    ) -> Self:
        """Build a map from a bundle's records, and check its weights.

        Raises:
            BundleError: Records, width and weights do not fit together.
        """
        try:
            network = Decoder.from_records(records, _COORDINATES, width, ())
        except BundleError as error:
            raise BundleError(f"features: {error}") from None
        features = cls(network, box, weights)
        features.check_weights()
        return features
