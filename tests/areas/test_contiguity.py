import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from priorvae.areas import read_areas
from priorvae.areas.components import component_labels
from priorvae.areas.contiguity import contiguity_edges, gabriel_edges
from priorvae.errors import AreasError


def edges(polygons: list[shapely.Polygon], rule: str, snap: float = 1e-6) -> list[list[int]]:
    return contiguity_edges(np.array(polygons), rule, snap, "map").tolist()


def test_corner_is_queen_not_rook():
    block = [shapely.box(x, y, x + 1, y + 1) for y in (0, 1) for x in (0, 1)]
    assert edges(block, "queen") == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert edges(block, "rook") == [[0, 1], [0, 2], [1, 3], [2, 3]]


@pytest.mark.parametrize("rule", ["queen", "rook"])
def test_rectangles_that_meet_mid_edge(rule):
    """They share no vertex: matching vertices would find no neighbours here."""
    polygons = [shapely.box(0, 0, 3, 1), shapely.box(1, 1, 2, 2), shapely.box(3, 0.4, 4, 0.6)]
    corners = [set(polygon.exterior.coords) for polygon in polygons]
    assert not any(a & b for a, b in itertools.combinations(corners, 2))
    assert edges(polygons, rule) == [[0, 1], [0, 2]]


@pytest.mark.parametrize("rule", ["queen", "rook"])
@pytest.mark.parametrize("shift", [-0.01, 0.01])
def test_snap_spans_gaps_and_overlaps_need_none(rule, shift):
    polygons = [shapely.box(0, 0, 1, 1), shapely.box(1 + shift, 0, 2, 1), shapely.box(5, 0, 6, 1)]
    assert edges(polygons, rule, snap=0.02) == [[0, 1]]
    assert edges(polygons, rule, snap=0.0) == ([[0, 1]] if shift < 0 else [])


def test_an_enclave_neighbours_what_surrounds_it():
    ring = shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2))
    polygons = [ring, shapely.box(1, 1, 2, 2), shapely.box(3, 0, 4, 1)]
    assert edges(polygons, "rook") == [[0, 1], [0, 2]]


def test_a_straight_edge_in_degrees_stays_straight(saved):
    """Projected first, the vertex at the middle of a 4 degree edge would lie 1.8 km off it."""
    import geopandas as gpd

    boxes = [shapely.box(10, 50, 14, 51), shapely.box(12, 51, 13, 52), shapely.box(14, 50, 15, 51)]
    frame = gpd.GeoDataFrame({"id": list("abc")}, geometry=boxes, crs="EPSG:4326")
    areas = read_areas(saved(frame), islands="error")
    assert areas.edges.tolist() == [[0, 1], [0, 2]]


def test_snap_is_in_metres(squares, saved):
    frame = squares([(0, 0), (1.05, 0), (2.1, 0)])
    assert len(read_areas(saved(frame), islands="keep").edges) == 0
    assert len(read_areas(saved(frame), islands="keep", snap=60.0).edges) == 2
    degrees = frame.to_crs(4326)
    assert len(read_areas(saved(degrees), islands="keep", snap=80.0).edges) == 2


def test_bad_rule_and_bad_snap():
    with pytest.raises(AreasError, match=r"got 'queens' \(did you mean 'queen'\?\)"):
        edges([shapely.box(0, 0, 1, 1)], "queens")
    with pytest.raises(AreasError, match="snap must be a distance of 0 or more, got -1"):
        edges([shapely.box(0, 0, 1, 1)], "queen", snap=-1.0)


@settings(max_examples=25)
@given(arrays(np.bool_, (4, 5)).filter(lambda mask: mask.sum() >= 3), st.sampled_from([1.0, 37.3]))
def test_rook_and_queen_on_lattices(mask, side):
    """Any subset of a lattice: rook is distance 1 between cells, queen distance below 1.5."""
    cells = np.argwhere(mask)
    boxes = np.array([shapely.box(*(c * side), *((c + 1) * side)) for c in cells])
    apart = np.linalg.norm(cells[:, None] - cells, axis=-1)
    for rule, reach in (("rook", 1.01), ("queen", 1.5)):
        expected = np.argwhere(np.triu(apart < reach, 1))
        got = contiguity_edges(boxes, rule, 1e-6 * side, "map")
        np.testing.assert_array_equal(got, expected)


def brute_gabriel(points: np.ndarray) -> list[list[int]]:
    squared = ((points[:, None] - points) ** 2).sum(-1)
    pairs = itertools.combinations(range(len(points)), 2)
    others = set(range(len(points)))
    return [
        [i, j]
        for i, j in pairs
        if all(squared[i, k] + squared[j, k] > squared[i, j] for k in others - {i, j})
    ]


@pytest.mark.parametrize("seed", range(5))
def test_gabriel_against_its_definition(seed):
    points = np.random.default_rng(seed).normal(size=(40, 2)) * 1e5
    got = gabriel_edges(points, tuple(map(str, range(40))), "map")
    assert got.tolist() == brute_gabriel(points)
    assert component_labels(got, 40).max() == 0


def test_gabriel_of_points_in_line_is_a_chain():
    points = np.outer([3.0, 0.0, 1.0, 2.0], [0.6, 0.8])
    assert gabriel_edges(points, tuple("abcd"), "map").tolist() == [[0, 3], [1, 2], [2, 3]]


def test_coincident_points_are_named():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(AreasError, match=r"at one place: a and c, c and a"):
        gabriel_edges(points, tuple("abc"), "map")
