from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest

from priorvae.areas import Areas, read_areas
from priorvae.areas.union import join_systems
from priorvae.errors import AreasError

FOUR = [(0, 0), (1, 0), (2, 0), (3, 0)]
PAIRS = [(0, 0), (2, 0), (0, 1)]


@pytest.fixture
def systems(squares, tmp_path) -> tuple[Areas, Areas]:
    """Four squares of 1 km, and three of 2 km over and above them in longitude and latitude."""
    squares(FOUR).to_file(tmp_path / "old.gpkg")
    wide = squares([(0, 0), (1, 0), (0, 1)], side=2000.0)
    wide.to_crs(4326).to_file(tmp_path / "new.gpkg")
    return read_areas(tmp_path / "old.gpkg"), read_areas(tmp_path / "new.gpkg", islands="keep")


def test_ids_edges_and_bridges_of_each_system_side_by_side(systems):
    old, new = systems
    joined = join_systems(old, {"new": new})
    assert joined.ids == (*old.ids, "new:a0", "new:a1", "new:a2")
    assert joined.names == (*old.names, *new.names)
    np.testing.assert_array_equal(joined.edges, [[0, 1], [1, 2], [2, 3], [4, 5], [4, 6], [5, 6]])
    np.testing.assert_array_equal(joined.bridge, np.r_[old.bridge, new.bridge])
    assert joined.components.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_everything_is_in_the_coordinates_of_the_first(systems):
    """The second was written in degrees: it comes back to a nanometre's rounding."""
    old, new = systems
    joined = join_systems(old, {"new": new})
    assert (joined.crs, joined.extent, joined.provenance) == (old.crs, old.extent, old.provenance)
    np.testing.assert_allclose(joined.centroids[:4], old.centroids, rtol=1e-12)
    centres = np.array([[501.0, 4001.0], [503.0, 4001.0], [501.0, 4003.0]])
    np.testing.assert_allclose(joined.centroids[4:], centres, atol=1e-6)
    np.testing.assert_allclose(joined.geometry.area, [1e6] * 4 + [4e6] * 3, rtol=1e-6)


def test_bridges_are_marked_where_they_were(squares, tmp_path):
    squares([(0, 0), (1, 0), (4, 0)]).to_file(tmp_path / "apart.gpkg")
    apart = read_areas(tmp_path / "apart.gpkg")
    joined = join_systems(apart, {"again": apart})
    assert joined.bridge.tolist() == [False, True, False, True]
    assert len(joined.fingerprint()) == 64 and joined.fingerprint() != apart.fingerprint()


def test_one_system_stays_as_it_is(systems):
    assert join_systems(systems[0], {}) is systems[0]


def test_a_name_that_is_taken(systems):
    old, new = systems
    taken = replace(old, ids=("new:a0", "b", "c", "d"))
    with pytest.raises(AreasError, match=r"called like those of a further system: new:a0; give"):
        join_systems(taken, {"new": new})


def test_maps_apart_or_without_a_place_or_polygons(systems, squares, tmp_path: Path):
    old, _ = systems
    squares(PAIRS, origin=(100_000.0, 1_000_000.0)).to_file(tmp_path / "far.gpkg")
    with pytest.raises(AreasError, match=r"systems.new: .*far.gpkg lies elsewhere than .*old.gpkg"):
        join_systems(old, {"new": read_areas(tmp_path / "far.gpkg")})
    with pytest.raises(AreasError, match="one has a place on Earth and the other has `local`"):
        join_systems(old, {"new": read_areas("grid:3x3")})
    bare = replace(old, geometry=None)
    with pytest.raises(AreasError, match="needs polygons, and this is an adjacency alone"):
        join_systems(old, {"new": bare})
    points = gpd.GeoDataFrame({"id": list("abcd")}, geometry=old.geometry.centroid)
    points.to_file(tmp_path / "points.gpkg")
    with pytest.raises(AreasError, match="needs polygons, and this is a map of points"):
        join_systems(read_areas(tmp_path / "points.gpkg"), {"new": old})
