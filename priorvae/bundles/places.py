"""The prior at other places than the areas: the same z, the same hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.decoders import numpy_backend
from priorvae.decoders.features import FeatureMap
from priorvae.decoders.layers import Dense
from priorvae.decoders.spec import Decoder, Weights
from priorvae.errors import AreasError
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax

__all__ = ["PriorAtPlaces", "named_places"]


@final
@dataclass(frozen=True, eq=False)
class PriorAtPlaces:
    """A bundle's prior at places of one's own: a `SpatialPrior` as the bundle is.

    Attributes:
        sites: A name for each place.
        decoder: The bundle's, with these places in place of its areas.
        weights: Its weights.
    """

    sites: tuple[str, ...]
    decoder: Decoder
    weights: Weights

    @classmethod
    def of(
        cls,
        decoder: Decoder,
        weights: Weights,
        features: FeatureMap,
        places: np.ndarray,
        names: tuple[str, ...],
    ) -> PriorAtPlaces:
        """Replace the last layer, whose kernel is the features at the areas.

        Raises:
            AreasError: A place lies outside the features' box.
        """
        kernel = np.ascontiguousarray(features.at(places, names).T)
        layers = (*decoder.layers[:-1], Dense(len(places), bias=False))
        moved = Decoder(decoder.latent_dim, len(places), decoder.conditions, layers)
        last = f"layers.{len(layers) - 1}.kernel"
        return cls(names, moved, {**weights, last: kernel})

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""
        return self.decoder.latent_dim

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The hyperparameters the decoder is conditioned on."""
        return self.decoder.conditions

    @property
    def is_linear(self) -> bool:
        """Whether `f` is linear in `z` for given hyperparameters."""
        return self.decoder.is_linear

    def decode(self, z: jax.Array, hyper: Mapping[str, Any] | None = None) -> jax.Array:
        """Return the field at the places, `(place,)`, from the latents that give it at the areas.

        Raises:
            ConditionError: A hyperparameter is missing, unknown or outside the trained range.
        """
        from priorvae.decoders import jax_backend

        return jax_backend.decode(self.decoder, self.weights, z, hyper or {})

    def decode_numpy(self, z: np.ndarray, hyper: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return the same in float64 NumPy; `z` may be `(latent,)` or `(draw, latent)`."""
        return numpy_backend.decode(self.decoder, self.weights, z, hyper or {})

    def matrix(self, hyper: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return `A` with `f = A z`, shape `(place, latent)`, float64, of a linear decoder."""
        return numpy_backend.matrix(self.decoder, self.weights, hyper or {})


def named_places(
    places: np.ndarray | Areas, crs: str | None, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return coordinates `(place, 2)` in km and a name for each: the area's id, or a number.

    Args:
        places: Coordinates, or areas, whose centroids they are.
        crs: Projection of the decoder's map, where known.
        source: What the decoder's map is called, for the message.

    Raises:
        AreasError: Areas have no centroids or another projection; or coordinates are no finite
            pairs.
    """
    if isinstance(places, Areas):
        if places.centroids is None:
            raise AreasError(f"{places.provenance.source}: has no centroids, so no places")
        if crs is not None and places.crs is not None and places.crs != crs:
            raise AreasError(
                f"{places.provenance.source} is in {places.crs}, and the decoder's map {source} in "
                f"{crs}: project the places to that, and give their coordinates in km"
            )
        return places.centroids, places.ids
    found = np.asarray(places, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) == 0 or not np.isfinite(found).all():
        raise AreasError(
            f"places are rows of two finite coordinates in km, east and north, got shape "
            f"{found.shape}"
        )
    return found, tuple(f"place {number}" for number in range(1, len(found) + 1))
