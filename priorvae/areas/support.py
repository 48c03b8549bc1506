"""Where a fine process lives, and how much of each place belongs to each area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import shapely
from scipy.spatial import KDTree

from priorvae.areas.cells import Cells, Pieces, cover, cut
from priorvae.areas.features import Features, locate
from priorvae.areas.polygons import polygons_of
from priorvae.areas.types import Areas
from priorvae.errors import AreasError, preview

__all__ = ["Support", "on_cells", "on_points"]

_FEWEST = 3


class Support(NamedTuple):
    """Places, and their weights in areas; a place that no area has a part of is left out."""

    places: np.ndarray
    """Centres of cells, or points, `(place, 2)` in km."""
    weights: sp.csr_array
    """Parts of cells, or people, `(area, place)`: to be summed, or averaged over a row."""


def on_cells(
    areas: Areas, sizes: Sequence[int], num_cells: int, people: Features | None = None
) -> Support:
    """Lay a square grid over the polygons of a map.

    A cell weighs in an area as the part of the cell that lies in it; or by the people there, each
    point in one area of a system and one cell, each polygon spread evenly over its surface.

    Args:
        areas: The map, or several boundary systems joined.
        sizes: Numbers of areas of the systems.
        num_cells: Cells of the grid, about.
        people: Where people live, in place of area.

    Raises:
        AreasError: The map has no polygons, or nobody lives in an area.
    """
    polygons = polygons_of(areas).to_numpy()
    cells = cover(polygons, num_cells)
    pieces = cut(polygons, cells)
    if people is None:
        parts = shapely.area(pieces.shapes) / cells.side**2
        weights = pieces.table(parts, (len(polygons), len(cells)))
    else:
        spread = _people_at_points if people.are_points else _people_in_polygons
        weights = spread(people, polygons, sizes, pieces, cells)
        _require_people(weights, areas, people)
    return _used(cells.centres, weights)


def on_points(areas: Areas, sizes: Sequence[int], points: Features) -> Support:
    """Let the fine process live on points, each of which weighs in the area that holds it.

    Args:
        areas: The map, or several boundary systems joined.
        sizes: Numbers of areas of the systems.
        points: The points, with their weights.

    Raises:
        AreasError: The map has no polygons, the file no points or two at one place, or an area no
            point or none with people.
    """
    _require_points(points)
    polygons = polygons_of(areas).to_numpy()
    area, point = _members(points, polygons, sizes)
    counts = np.bincount(area, minlength=len(areas))
    if not counts.all():
        raise AreasError(
            f"{points.source}: {_none_in(counts == 0, areas, 'no point')}; add points there, or "
            "use `cells`, which reach every area"
        )
    shape = (len(polygons), len(points.shapes))
    weights = sp.csr_array((points.values[point], (area, point)), shape=shape)
    _require_people(weights, areas, points)
    return _used(shapely.get_coordinates(points.shapes), weights)


def _people_at_points(
    people: Features, polygons: np.ndarray, sizes: Sequence[int], pieces: Pieces, cells: Cells
) -> sp.csr_array:
    area, point = _members(people, polygons, sizes)
    places = shapely.get_coordinates(people.shapes)[point]
    cell = np.empty(len(area), dtype=int)
    for one in np.unique(area):
        # On the edge of two cells, and on the coast, it is one of those the area has a part of.
        own, inside = pieces.cell[pieces.polygon == one], area == one
        cell[inside] = own[KDTree(cells.centres[own]).query(places[inside])[1]]
    shape = (len(polygons), len(cells))
    return sp.csr_array((people.values[point], (area, cell)), shape=shape)


def _people_in_polygons(
    people: Features, polygons: np.ndarray, sizes: Sequence[int], pieces: Pieces, cells: Cells
) -> sp.csr_array:
    home, piece = shapely.STRtree(pieces.shapes).query(people.shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(people.shapes[home], pieces.shapes[piece]))
    counts = people.values[home] * shared / shapely.area(people.shapes)[home]
    each = np.bincount(piece, counts, minlength=len(pieces.shapes))
    return pieces.table(each, (len(polygons), len(cells)))


def _members(
    points: Features, polygons: np.ndarray, sizes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return areas and their points as pairs: a point is in one area of a system, or in none."""
    areas, members, start = [], [], 0
    for size in sizes:
        position = locate(points.shapes, polygons[start : start + size])
        inside = np.flatnonzero(position >= 0)
        areas.append(start + position[inside])
        members.append(inside)
        start += size
    return np.concatenate(areas), np.concatenate(members)


def _used(places: np.ndarray, weights: sp.csr_array) -> Support:
    """Leave out places without weight: a Gaussian process on the others is the same without."""
    weights.eliminate_zeros()
    weights.sum_duplicates()
    used = np.unique(weights.indices)
    if len(used) < _FEWEST:
        raise AreasError(
            f"only {len(used)} cells or points have a weight in an area, and a fine process needs "
            f"at least {_FEWEST}"
        )
    return Support(places[used] / 1000, sp.csr_array(weights[:, used]))


def _require_points(points: Features) -> None:
    if not points.are_points:
        raise AreasError(
            f"{points.source}: expected points for the fine process to live on, got polygons; to "
            "weigh areas by the people in them, give the file as `population`"
        )
    places = np.unique(shapely.get_coordinates(points.shapes), axis=0)
    if len(places) < len(points.shapes):
        raise AreasError(
            f"{points.source}: {len(points.shapes)} points at {len(places)} different places: "
            "those at one place would have the same value; merge them"
        )


def _require_people(weights: sp.csr_array, areas: Areas, people: Features) -> None:
    empty = weights.sum(axis=1) <= 0
    if empty.any():
        remedy = (
            "check the coordinate reference system of both"
            if empty.all()
            else "leave out areas without people, or correct the counts"
        )
        raise AreasError(f"{people.source}: {_none_in(empty, areas, 'nobody')}; {remedy}")


def _none_in(empty: np.ndarray, areas: Areas, what: str) -> str:
    ids = np.array(areas.ids)[empty]
    noun = "area has" if len(ids) == 1 else "areas have"
    return f"{len(ids)} {noun} {what}: {preview(ids, 20)}"
