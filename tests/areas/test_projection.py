import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely

from priorvae.areas import read_areas
from priorvae.errors import AreasError

EARTH = pyproj.Geod(ellps="WGS84")


def graticule(west: float, south: float, columns: int, rows: int, step: float) -> gpd.GeoDataFrame:
    """Cells of a graticule; longitudes beyond 180 are wrapped as files store them."""
    cells, ids = [], []
    for row in range(rows):
        for column in range(columns):
            x, y = west + column * step, south + row * step
            cell = shapely.segmentize(shapely.box(x, y, x + step, y + step), step / 8)
            if x >= 180:
                cell = shapely.affinity.translate(cell, -360)
            cells.append(cell)
            ids.append(f"r{row}c{column}")
    return gpd.GeoDataFrame({"id": ids}, geometry=cells, crs="EPSG:4326")


def test_narrow_map_goes_to_utm(saved):
    areas = read_areas(saved(graticule(36, -3, 4, 2, 1.0)))
    assert areas.crs == "EPSG:32737"  # Kenya's south: zone 37.
    assert areas.geometry.crs == "EPSG:32737"


def test_the_datum_stays(squares, saved):
    frame = graticule(-84, 34, 6, 2, 1.0).set_crs("EPSG:4267", allow_override=True)
    assert read_areas(saved(frame)).crs == "EPSG:26717"  # UTM 17 north on NAD27.


def test_wide_map_goes_to_an_equal_area_projection(saved):
    areas = read_areas(saved(graticule(-20, 20, 6, 3, 10.0)))
    crs = pyproj.CRS.from_user_input(areas.crs)
    assert crs.coordinate_operation.method_name == "Lambert Azimuthal Equal Area"
    truth = abs(EARTH.geometry_area_perimeter(shapely.box(-20, 20, -10, 30))[0])
    assert areas.geometry.area[0] == pytest.approx(truth, rel=2e-3)


@pytest.mark.parametrize("step", [1.0, 20.0])
def test_a_map_across_the_antimeridian_is_one_piece(saved, step):
    across = read_areas(saved(graticule(180 - 2 * step, -18, 4, 2, step)), islands="error")
    assert len(across.edges) == 16  # 4 x 2 cells, queen.
    assert across.extent < 1.2 * 4 * step * 111.32


def test_the_antimeridian_changes_no_distance(tmp_path):
    shifted, plain = tmp_path / "shifted.gpkg", tmp_path / "plain.gpkg"
    graticule(178, -18, 4, 2, 1.0).to_file(shifted)
    graticule(22, -18, 4, 2, 1.0).to_file(plain)
    a, b = read_areas(shifted), read_areas(plain)
    gaps = [np.linalg.norm(m.centroids[:, None] - m.centroids, axis=-1) for m in (a, b)]
    # Another zone, another distance from its central meridian: scales differ by half a per mille.
    np.testing.assert_allclose(*gaps, rtol=1e-3)
    assert a.edges.tolist() == b.edges.tolist()


def test_a_polygon_across_the_antimeridian_is_cut_at_no_edge(tmp_path):
    frame = graticule(170, 60, 3, 1, 10.0)
    # One cell stored uncut, from 175 to -175.
    ring = [(175, 60), (-175, 60), (-175, 70), (175, 70)]
    frame.loc[1, "geometry"] = shapely.Polygon(ring)
    frame.to_file(tmp_path / "map.gpkg")
    areas = read_areas(tmp_path / "map.gpkg")
    truth = abs(
        EARTH.geometry_area_perimeter(shapely.segmentize(shapely.box(175, 60, 185, 70), 1))[0]
    )
    assert areas.geometry.area[1] == pytest.approx(truth, rel=0.05)


def test_distances_are_those_on_the_ground(saved):
    areas = read_areas(saved(graticule(-84, 34, 6, 2, 1.0)))
    corners = np.array([[-83.5, 34.5], [-78.5, 35.5]])
    truth = EARTH.inv(*corners[0], *corners[1])[2] / 1000
    got = np.linalg.norm(areas.centroids[0] - areas.centroids[-1])
    assert got == pytest.approx(truth, rel=2e-3)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:2264"])
def test_distorted_or_imperial_maps_are_projected_again(saved, crs):
    """Web Mercator stretches North Carolina by a fifth; EPSG:2264 counts in feet."""
    frame = graticule(-84, 34, 6, 2, 1.0)
    truth = read_areas(saved(frame))
    got = read_areas(saved(frame.to_crs(crs)))
    # Centroids of cells whose edges bend otherwise move a little.
    np.testing.assert_allclose(
        np.linalg.norm(got.centroids[0] - got.centroids[-1]),
        np.linalg.norm(truth.centroids[0] - truth.centroids[-1]),
        rtol=1e-3,
    )
    assert got.geometry.crs.axis_info[0].unit_name == "metre"


def test_projected_metres_stay(squares, saved):
    frame = squares([(0, 0), (1, 0), (2, 0)])
    areas = read_areas(saved(frame))
    np.testing.assert_array_equal(areas.centroids, frame.centroid.get_coordinates() / 1000)


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_no_crs_is_an_error(squares, saved):
    degrees = graticule(-84, 34, 3, 1, 1.0).set_crs(None, allow_override=True)
    with pytest.raises(
        AreasError, match=r"no coordinate reference system.*like degrees.*EPSG:4326"
    ):
        read_areas(saved(degrees))
    assert read_areas(saved(degrees), crs="EPSG:4326").crs == "EPSG:32617"
    metres = squares([(0, 0), (1, 0), (2, 0)], crs=None)
    with pytest.raises(AreasError, match=r"no coordinate reference system.*--crs local"):
        read_areas(saved(metres))
    local = read_areas(saved(metres), crs="local")
    assert (local.crs, local.extent) == ("local", pytest.approx(3.0))
    assert read_areas(saved(metres), crs="local:km").extent == pytest.approx(3000.0)


def test_coordinates_that_contradict_their_crs(squares, saved):
    metres = squares([(0, 0), (1, 0), (2, 0)])
    with pytest.raises(AreasError, match=r"'WGS 84' is in degrees, but the coordinates are not"):
        read_areas(saved(metres.set_crs(4326, allow_override=True)))
    degrees = graticule(-84, 34, 3, 1, 1.0)
    with pytest.raises(
        AreasError, match=r"projected system, but the coordinates look like degrees"
    ):
        read_areas(saved(degrees), crs="EPSG:32617")


def test_unknown_crs(squares, saved):
    with pytest.raises(AreasError, match=r"unknown coordinate reference system 'EPSG:0'"):
        read_areas(saved(squares([(0, 0), (1, 0), (2, 0)])), crs="EPSG:0")


def test_a_crs_that_is_no_map(squares, saved):
    with pytest.raises(AreasError, match=r"neither geographic nor projected"):
        read_areas(saved(squares([(0, 0), (1, 0), (2, 0)])), crs="EPSG:4978")
