"""A rectangle around a map: the places at which a continuous decoder knows its prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.errors import AreasError, preview

__all__ = ["Box"]

_SLACK = 1e-9
"""Of the longest side: a place on the edge must not fall out by rounding."""


@final
@dataclass(frozen=True)
class Box:
    """The rectangle `[low, high]`, in the map's projected coordinates.

    Of a map on a line one side has length zero.

    Attributes:
        low: Smallest coordinates east and north, in km.
        high: Largest ones.

    Raises:
        AreasError: A side is negative, or both are zero.
    """

    low: tuple[float, float]
    high: tuple[float, float]

    def __post_init__(self) -> None:
        if self.sides.min() < 0 or not 0 < self.sides.max() < np.inf:
            raise AreasError(f"no rectangle lies between {self.low} and {self.high} km")

    @classmethod
    def around(cls, areas: Areas, margin: float) -> Self:
        """Return the box around the centroids, wider by `margin` extents at each end.

        A side of length zero stays so: a map on a line has no width.

        Raises:
            AreasError: The map has no centroids.
        """
        if areas.centroids is None or areas.extent is None:
            raise AreasError(
                f"{areas.provenance.source}: has no centroids, so no places between its areas"
            )
        low, high = areas.centroids.min(axis=0), areas.centroids.max(axis=0)
        wider = np.where(high > low, margin * areas.extent, 0.0)
        (x, y), (right, top) = (low - wider).tolist(), (high + wider).tolist()
        return cls((x, y), (right, top))

    @property
    def sides(self) -> np.ndarray:
        """Lengths of the two sides in km."""
        return np.subtract(self.high, self.low)

    def unit(self, places: np.ndarray) -> np.ndarray:
        """Return places `(place, 2)` in km on the scale where the longest side is [-1, 1].

        `u = (2 s - low - high) / longest side`: one factor for both coordinates, so that distances
        keep their proportions.
        """
        centred = 2 * np.asarray(places, dtype=np.float64) - np.add(self.low, self.high)
        return np.asarray(centred / self.sides.max())

    def check(self, places: np.ndarray, names: Sequence[str]) -> None:
        """Refuse places outside the box.

        Args:
            places: Coordinates in km, `(place, 2)`.
            names: One for each place, for the message.

        Raises:
            AreasError: Lists the places outside.
        """
        slack = _SLACK * self.sides.max()
        inside = (places >= np.subtract(self.low, slack)) & (places <= np.add(self.high, slack))
        outside = np.flatnonzero(~inside.all(axis=1)).tolist()
        if len(outside) > 0:
            x, y = places[outside[0]]
            (west, south), (east, north) = self.low, self.high
            raise AreasError(
                f"{len(outside)} of {len(places)} places lie outside the box that the decoder was "
                f"trained for, {west:.6g} to {east:.6g} km east and {south:.6g} to {north:.6g} km "
                f"north: {preview(names[i] for i in outside)} ({names[outside[0]]} is at {x:.6g}, "
                f"{y:.6g}). Are they in the projection of the map? If they are, leave them out, or "
                "train with a larger model.margin"
            )
