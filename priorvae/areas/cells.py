"""A square grid over polygons, and exactly how much of each cell lies in each polygon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import shapely

__all__ = ["Cells", "Pieces", "cover", "cut"]

_ATTEMPTS = 12
_CLOSE_ENOUGH = 0.01
_ROUNDING = 1e-11
"""Of a side: a cell that reaches less far beyond another's edge is not there."""
_SLIVER = 1e-10
"""Of a polygon's area: a smaller piece is a rounding error along a common boundary."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Squares of one regular grid: those that some polygon reaches into.

    Attributes:
        corner: South-west corner of the grid `(2,)`, in metres.
        side: Length of a side in metres.
        index: Column and row of each cell, `(cell, 2)`.
    """

    corner: np.ndarray
    side: float
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def centres(self) -> np.ndarray:
        """Centres `(cell, 2)` in metres."""
        return self.corner + self.side * (self.index + 0.5)

    @cached_property
    def boxes(self) -> np.ndarray:
        """The cells as polygons; neighbours share their corners to the last bit."""
        return self.shrunk(0.0)

    def shrunk(self, margin: float) -> np.ndarray:
        """Return the cells as polygons without a margin, in sides, on every edge."""
        low = self.corner + self.side * (self.index + margin)
        high = self.corner + self.side * (self.index + (1 - margin))
        return shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])


class Pieces(NamedTuple):
    """The parts into which polygons and cells cut one another."""

    polygon: np.ndarray
    """Position of each piece's polygon, `(piece,)`, ascending."""
    cell: np.ndarray
    """Position of its cell, `(piece,)`."""
    shapes: np.ndarray
    """The pieces, `(piece,)`."""

    def table(self, values: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
        """Return a value for each piece as a sparse matrix `(polygon, cell)`."""
        return sp.csr_array((values, (self.polygon, self.cell)), shape=shape)


def cover(polygons: np.ndarray, num: int) -> Cells:
    """Lay a square grid of about `num` cells over polygons, given in metres.

    Only cells that some polygon reaches into count, so the side follows from the land and not
    from its bounding box. It is found by trial: that which comes closest to `num` is taken.
    """
    west, south, east, north = shapely.total_bounds(polygons)
    side = float(np.sqrt((east - west) * (north - south) / num))
    tried = []
    for _ in range(_ATTEMPTS):
        cells = _reached(polygons, side)
        tried.append((abs(np.log(len(cells) / num)), -side, cells))
        if tried[-1][0] < _CLOSE_ENOUGH:
            break
        side *= float(np.sqrt(len(cells) / num))
    return min(tried, key=lambda attempt: attempt[:2])[2]


def cut(polygons: np.ndarray, cells: Cells) -> Pieces:
    """Cut polygons along the edges of cells.

    A cell that lies within a polygon is a piece as it is; only others are intersected. The pieces
    of a polygon add up to its area, to rounding, however small it is.
    """
    tree = shapely.STRtree(cells.boxes)
    polygon, cell = tree.query(polygons, predicate="intersects")
    order = np.lexsort([cell, polygon])
    polygon, cell = polygon[order], cell[order]
    shapes = cells.boxes[cell]
    whole = np.isin(
        polygon * len(cells) + cell,
        np.ravel_multi_index(tree.query(polygons, predicate="covers"), (len(polygons), len(cells))),
    )
    shapes[~whole] = shapely.intersection(polygons[polygon[~whole]], shapes[~whole])
    real = shapely.area(shapes) > _SLIVER * shapely.area(polygons)[polygon]
    return Pieces(polygon[real], cell[real], shapes[real])


def _reached(polygons: np.ndarray, side: float) -> Cells:
    """Return the cells of a given side that polygons reach into."""
    corner = shapely.total_bounds(polygons)[:2]
    near = Cells(corner, side, _near(shapely.bounds(shapely.get_parts(polygons)), corner, side))
    tree = shapely.STRtree(near.shrunk(_ROUNDING))
    reached = np.unique(tree.query(polygons, predicate="intersects")[1])
    return Cells(corner, side, near.index[reached])


def _near(bounds: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
    """Return columns and rows of the cells that meet bounding boxes `(box, 4)`."""
    low = np.floor((bounds[:, :2] - corner) / side + _ROUNDING).astype(int)
    high = np.maximum(np.ceil((bounds[:, 2:] - corner) / side - _ROUNDING).astype(int), low + 1)
    met = np.zeros(high.max(axis=0), dtype=bool)
    for (left, bottom), (right, top) in zip(low, high, strict=True):
        met[left:right, bottom:top] = True
    return np.argwhere(met)
