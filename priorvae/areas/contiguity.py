"""Which areas are neighbours: queen and rook by geometry, Gabriel's graph for points."""

import numpy as np
import shapely
from scipy.spatial import Delaunay, KDTree, QhullError

from priorvae.errors import AreasError, nearest, preview

__all__ = ["CONTIGUITIES", "contiguity_edges", "gabriel_edges", "sort_edges"]

CONTIGUITIES = ("queen", "rook")
CORNER = 10.0
"""A shared boundary shorter than this many tolerances is a corner."""


def contiguity_edges(polygons: np.ndarray, rule: str, snap: float, source: str) -> np.ndarray:
    """Return the pairs of polygons that touch.

    Queen neighbours come within `snap` of each other anywhere. Rook neighbours also share a
    stretch of boundary: the part of one boundary within `snap` of the other polygon is longer
    than a corner. Comparing geometry, not vertices, finds neighbours that meet mid-edge or
    overlap slightly.

    Args:
        polygons: Valid shapely polygons, in the coordinates of the source: projecting first
            would bend a long edge away from vertices that lie on it.
        rule: `queen` or `rook`.
        snap: Tolerance, in the unit of the coordinates.
        source: Where the polygons came from, for messages.

    Returns:
        Positions `(edge, 2)`, the smaller first, sorted.

    Raises:
        AreasError: The rule is unknown or the tolerance negative.
    """
    if rule not in CONTIGUITIES:
        raise AreasError(
            f"{source}: contiguity must be 'queen' or 'rook', got {rule!r}"
            f"{nearest(rule, CONTIGUITIES)}"
        )
    if not snap >= 0:
        raise AreasError(f"{source}: snap must be a distance of 0 or more, got {snap:g}")
    first, second = shapely.STRtree(polygons).query(polygons, predicate="dwithin", distance=snap)
    pairs = np.column_stack([first, second])[first < second]
    if rule == "rook":
        pairs = pairs[_shared_length(polygons, pairs, snap) > CORNER * snap]
    return sort_edges(pairs)


def gabriel_edges(points: np.ndarray, ids: tuple[str, ...], source: str) -> np.ndarray:
    """Return the Gabriel graph of points: pairs whose diametral circle holds no other point.

    It is connected, and on a regular grid it joins the four nearest neighbours (Gabriel and
    Sokal 1969).

    Args:
        points: Coordinates `(area, 2)`.
        ids: Ids of the points, for messages.
        source: Where the points came from, for messages.

    Returns:
        Positions `(edge, 2)`, the smaller first, sorted.

    Raises:
        AreasError: Two points coincide.
    """
    tree = KDTree(points)
    distance, other = tree.query(points, k=2)
    same = np.flatnonzero(distance[:, 1] == 0)
    if len(same):
        raise AreasError(
            f"{source}: points must lie apart; at one place: "
            f"{preview(f'{ids[i]} and {ids[other[i, other[i] != i][0]]}' for i in same)}"
        )
    pairs = _candidates(points)
    middle = points[pairs].mean(axis=1)
    radius = np.linalg.norm(points[pairs[:, 0]] - middle, axis=1)
    # The ends lie on the circle themselves: a third point in or on it is one too many.
    inside = tree.query_ball_point(middle, radius * (1 + 1e-9), return_length=True)
    return sort_edges(pairs[inside <= 2])


def sort_edges(pairs: np.ndarray) -> np.ndarray:
    """Return pairs with the smaller position first, sorted and without repeats."""
    return np.unique(np.sort(pairs.reshape(-1, 2).astype(np.int64), axis=1), axis=0)


def _shared_length(polygons: np.ndarray, pairs: np.ndarray, snap: float) -> np.ndarray:
    used = np.unique(pairs[:, 1])
    grown = polygons.copy()
    grown[used] = shapely.buffer(polygons[used], snap)
    outline = shapely.boundary(polygons)
    return shapely.length(shapely.intersection(outline[pairs[:, 0]], grown[pairs[:, 1]]))


def _candidates(points: np.ndarray) -> np.ndarray:
    """Pairs among which the Gabriel edges are: Delaunay's, or a chain where all are in line."""
    centred = points - points.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    try:
        if spread[1] > 1e-9 * spread[0]:
            triangles = Delaunay(centred).simplices
            return sort_edges(triangles[:, [0, 1, 1, 2, 2, 0]])
    except QhullError:  # Nearly in line: the chain below joins them.
        pass
    order = np.argsort(centred @ axes[0])
    return np.column_stack([order[:-1], order[1:]])
