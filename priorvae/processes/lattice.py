"""Places on a regular rectangular grid, recognised from their coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Lattice", "find_lattice"]

_SAME = 1e-6
"""Of a grid's spacing: how far a place may lie from its node."""
_LEAST_FILLED = 1 / 16


class Lattice(NamedTuple):
    """Places on the nodes of a grid that is parallel to the axes; some nodes may be empty."""

    shape: tuple[int, int]
    """Nodes along east and north."""
    spacing: tuple[float, float]
    """Their distances in km; 0 along an axis of one node."""
    node: np.ndarray
    """Each place's column and row, `(place, 2)`, from 0."""


def find_lattice(places: np.ndarray) -> Lattice | None:
    """Return the grid that places `(place, 2)` lie on, in any order, or None.

    The spacing along an axis is the least distance between two coordinates. Every place must lie
    within a millionth of it from a node of its own, and at least a sixteenth of the nodes be taken.
    """
    columns = [_along(coordinates) for coordinates in places.T]
    if any(column is None for column in columns):
        return None
    (east, dx), (north, dy) = columns  # type: ignore[misc]
    node = np.stack([east, north], axis=1)
    shape = (int(east.max()) + 1, int(north.max()) + 1)
    sparse = len(places) < _LEAST_FILLED * shape[0] * shape[1]
    if sparse or len(np.unique(node, axis=0)) < len(node):
        return None
    return Lattice(shape, (dx, dy), node)


def _along(coordinates: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return each coordinate's number and their spacing, or None if they are not equally spaced."""
    low, extent = coordinates.min(), np.ptp(coordinates)
    gaps = np.diff(np.unique(coordinates))
    # Rounding makes gaps that are none: of 100,000 nodes a spacing is a hundred-thousandth.
    gaps = gaps[gaps > _SAME * extent]
    if len(gaps) == 0:
        return np.zeros(len(coordinates), dtype=int), 0.0
    # Over the whole extent the spacing is known better than from one gap.
    spacing = extent / round(extent / gaps.min())
    number = np.round((coordinates - low) / spacing)
    if np.abs(coordinates - low - number * spacing).max() > _SAME * spacing:
        return None
    return number.astype(int), float(spacing)
