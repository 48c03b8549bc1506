import itertools

import numpy as np
import pytest
import shapely

from priorvae.areas import read_areas
from priorvae.areas.components import component_labels, connect, minimum_bridges
from priorvae.errors import AreasError

NO_EDGES = np.empty((0, 2), int)


def kruskal(geometry: np.ndarray, labels: np.ndarray) -> float:
    """Length of the minimum spanning tree over components, from all pairs of areas."""
    labels, total = labels.copy(), 0.0
    pairs = itertools.combinations(range(len(geometry)), 2)
    for length, i, j in sorted((geometry[i].distance(geometry[j]), i, j) for i, j in pairs):
        if labels[i] != labels[j]:
            total += length
            labels[labels == labels[j]] = labels[i]
    return total


@pytest.mark.parametrize("seed", range(6))
def test_bridges_are_the_minimum_spanning_tree(seed):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 100, (30, 2)), rng.uniform(1, 12, (30, 2))
    geometry = np.array([shapely.box(*c, *(c + s)) for c, s in zip(corner, size, strict=True)])
    labels = rng.integers(0, 8, 30)
    labels = np.unique(labels, return_inverse=True)[1]
    bridges = minimum_bridges(geometry, labels)
    assert len(bridges) == labels.max()
    length = sum(geometry[i].distance(geometry[j]) for i, j in bridges)
    assert length == pytest.approx(kruskal(geometry, labels), rel=1e-12)
    inner = [(i, j) for i, j in itertools.combinations(range(30), 2) if labels[i] == labels[j]]
    assert component_labels(np.vstack([np.array(inner), bridges]), 30).max() == 0


def test_equal_distances_make_no_cycle():
    lattice = np.array([shapely.Point(x, y) for x in range(5) for y in range(5)])
    bridges = minimum_bridges(lattice, np.arange(25))
    assert len(bridges) == 24
    assert component_labels(bridges, 25).max() == 0


def test_bridges_measure_between_boundaries_not_centroids(squares, saved):
    """The long area's edge is near the island though its centroid is farther than the square's."""
    frame = squares([(0, 0), (1, 0), (11.5, 4)])
    frame.loc[1, "geometry"] = shapely.box(501_000, 4e6, 511_000, 4_001_000)
    areas = read_areas(saved(frame))
    assert areas.edges.tolist() == [[0, 1], [1, 2]]
    assert areas.bridge.tolist() == [False, True]


def test_nearest_neighbours_would_not_connect_but_bridges_do(squares, saved):
    """Two pairs of islands: each is nearest to its twin, and a bridge must still join the pairs."""
    areas = read_areas(saved(squares([(0, 0), (1.5, 0), (20, 0), (21.5, 0)])))
    assert areas.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert areas.bridge.all()
    assert areas.components.max() == 0


def test_keep(squares, saved):
    areas = read_areas(saved(squares([(0, 0), (1, 0), (5, 0)])), islands="keep")
    assert areas.edges.tolist() == [[0, 1]]
    assert not areas.bridge.any()
    assert areas.degrees.tolist() == [1, 1, 0]


def test_error_names_the_islands(squares, saved):
    path = saved(squares([(0, 0), (1, 0), (5, 0)]))
    with pytest.raises(AreasError, match=r"2 separate components of 2, 1 areas, with islands a2"):
        read_areas(path, islands="error")


def test_unknown_policy():
    with pytest.raises(AreasError, match=r"got 'bridges' \(did you mean 'bridge'\?\)"):
        connect(NO_EDGES, None, "bridges", ("a", "b", "c"), "map")


def test_no_bridges_without_geometry():
    with pytest.raises(AreasError, match=r"no distances to bridge them by.*islands='keep'"):
        connect(np.array([[0, 1]]), None, "bridge", ("a", "b", "c"), "map")
