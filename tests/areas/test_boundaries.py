import hashlib
import json
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import shapely

from priorvae.areas import read_areas, read_map
from priorvae.errors import AreasError

ROW = [(0, 0), (1, 0), (2, 0), (2, 1)]
ROW_EDGES = [[0, 1], [1, 2], [1, 3], [2, 3]]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb"])
def test_every_format_gives_the_same_map(squares, tmp_path, suffix):
    frame = squares(ROW)
    path = tmp_path / f"map{suffix}"
    # GeoJSON is longitude and latitude by definition.
    (frame.to_crs(4326) if suffix == ".geojson" else frame).to_file(path)
    areas = read_areas(path)
    # FlatGeobuf orders features by place, and ids keep the order of the file.
    order = np.argsort(areas.ids)
    assert [areas.ids[k] for k in order] == ["a0", "a1", "a2", "a3"]
    adjacency = areas.adjacency.toarray()[np.ix_(order, order)]
    assert np.argwhere(np.triu(adjacency)).tolist() == ROW_EDGES
    np.testing.assert_allclose(
        areas.centroids[order], frame.centroid.get_coordinates() / 1000, 1e-9
    )
    assert areas.extent == pytest.approx(3.0, abs=1e-6)
    assert areas.crs == "EPSG:32617"
    assert not areas.bridge.any()


def test_zipped_shapefile(squares, tmp_path):
    squares(ROW).to_file(tmp_path / "map.shp")
    path = tmp_path / "map.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part in sorted(tmp_path.glob("map.[sdpc]*")):
            archive.write(part, part.name)
    areas = read_areas(path)
    assert areas.edges.tolist() == ROW_EDGES
    assert areas.provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def topology(names: tuple[str, ...] = ("areas",)) -> dict:
    """Three unit squares in a row as TopoJSON, quantised."""
    arcs = [[[2 * k, 0], [2, 0], [0, 2], [-2, 0], [0, -2]] for k in range(3)]
    shapes = [
        {"type": "Polygon", "id": f"t{k}", "properties": {"name": f"T{k}"}, "arcs": [[k]]}
        for k in range(3)
    ]
    collection = {"type": "GeometryCollection", "geometries": shapes}
    return {
        "type": "Topology",
        "transform": {"scale": [0.5, 0.5], "translate": [10.0, 50.0]},
        "objects": dict.fromkeys(names, collection),
        "arcs": arcs,
    }


@pytest.mark.parametrize("suffix", [".topojson", ".json"])
def test_topojson(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    path.write_text(json.dumps(topology()))
    areas = read_areas(path, crs="EPSG:4326")
    assert areas.ids == ("t0", "t1", "t2")
    assert areas.names == ("T0", "T1", "T2")
    assert areas.edges.tolist() == [[0, 1], [1, 2]]


def test_topojson_without_crs_asks_for_one(tmp_path):
    path = tmp_path / "map.topojson"
    path.write_text(json.dumps(topology()))
    with pytest.raises(AreasError, match=r"look like degrees .*--crs EPSG:4326"):
        read_areas(path)


def test_checksum_of_a_shapefile_covers_its_parts(squares, tmp_path):
    squares(ROW).to_file(tmp_path / "map.shp")
    parts = sorted(tmp_path.glob("map.*"), key=lambda part: part.name)
    expected = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    assert read_areas(tmp_path / "map.shp").provenance.sha256 == expected


def test_layers(squares, tmp_path):
    path = tmp_path / "map.gpkg"
    squares(ROW).to_file(path, layer="districts")
    squares(ROW[:3]).to_file(path, layer="regions")
    assert len(read_areas(path, layer="regions")) == 3
    with pytest.raises(AreasError, match=r"2 layers.*--layer.*districts, regions"):
        read_areas(path)
    with pytest.raises(AreasError, match=r"no layer 'region' \(did you mean 'regions'\?\)"):
        read_areas(path, layer="region")


def test_missing_file_names_the_nearest(squares, saved):
    path = saved(squares(ROW))
    with pytest.raises(AreasError, match=r"no such file \(did you mean 'map.gpkg'\?\)"):
        read_areas(path.with_name("mapp.gpkg"))
    with pytest.raises(AreasError, match="did you mean 'builtin:sids2'"):
        read_areas("sids2")


@pytest.mark.parametrize("name", ["map.gpkg", "map.geojson", "map.shp", "map.zip", "map.json"])
@pytest.mark.parametrize("content", [b"", b"this is no map", b'{"type": "nothing"}'])
def test_a_file_that_is_no_map(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AreasError, match=rf"{name}: (cannot be read as a map|not a map)"):
        read_areas(path)


@pytest.mark.parametrize("part", ["map.shp", "map.shx", "map.dbf", "map.geojson"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_truncated_file_is_refused(squares, tmp_path, part, kept):
    squares(ROW).to_file(tmp_path / "map.shp")
    squares(ROW).to_crs(4326).to_file(tmp_path / "map.geojson")
    content = (tmp_path / part).read_bytes()
    (tmp_path / part).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(AreasError):
        read_areas(tmp_path / (part if part == "map.geojson" else "map.shp"))


def test_unknown_kind_of_file(tmp_path):
    path = tmp_path / "map.docx"
    path.write_text("x")
    with pytest.raises(AreasError, match=r"unknown kind of file '.docx'; expected one of .gpkg"):
        read_areas(path)


def test_a_table_without_geometry_is_no_map(squares, tmp_path):
    path = tmp_path / "table.geojson"
    features = [{"type": "Feature", "properties": {"id": k}, "geometry": None} for k in range(4)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(AreasError, match=r"not a map|empty or null geometry: 0, 1, 2, 3"):
        read_areas(path)


def test_empty_and_null_geometry_lists_the_ids(squares, saved):
    frame = squares(ROW)
    frame.loc[1, "geometry"] = None
    frame.loc[3, "geometry"] = shapely.Polygon()
    with pytest.raises(AreasError, match=r"2 areas have empty or null geometry: a1, a3"):
        read_areas(saved(frame))


def test_lines_are_no_map(squares, saved):
    frame = squares(ROW)
    frame["geometry"] = frame.boundary
    with pytest.raises(AreasError, match=r"not a map of areas: expected polygons.*LineString"):
        read_areas(saved(frame))


def test_lines_among_polygons_are_no_map(squares, tmp_path):
    frame = squares(ROW).to_crs(4326)
    frame.loc[0, "geometry"] = frame.geometry[0].boundary
    frame.to_file(tmp_path / "map.geojson")
    with pytest.raises(AreasError, match=r"got LineString, Polygon"):
        read_areas(tmp_path / "map.geojson")


def test_two_areas_are_too_few(squares, saved):
    with pytest.raises(AreasError, match="at least 3 areas, got 2"):
        read_areas(saved(squares(ROW[:2])))


@pytest.mark.filterwarnings("ignore:You are attempting to write an empty:UserWarning")
def test_no_areas_are_too_few(squares, saved):
    with pytest.raises(AreasError, match="at least 3 areas, got 0"):
        read_areas(saved(squares(ROW)[:0]))


def test_invalid_polygons_are_mended(squares, saved):
    frame = squares(ROW)
    x, y = frame.geometry[3].exterior.coords[0]
    # A bow tie with a spike: making it valid also leaves a line, which is no part of an area.
    bow = [(0, 0), (1000, 1000), (1000, 0), (0, 1000), (0, 1800), (0, 1000), (0, 0)]
    frame.loc[3, "geometry"] = shapely.Polygon([(x - 1000 + u, y + v) for u, v in bow])
    reading = read_map(saved(frame))
    assert reading.mended == ("a3",)
    assert reading.areas.geometry.is_valid.all()
    assert set(reading.areas.geometry.geom_type) <= {"Polygon", "MultiPolygon"}


def test_a_polygon_without_area_is_named(squares, saved):
    frame = squares(ROW)
    frame.loc[2, "geometry"] = shapely.Polygon([(500_000, 4e6), (500_100, 4e6), (500_000, 4e6)])
    with pytest.raises(AreasError, match=r"1 area has no area, only lines or points: a2"):
        read_areas(saved(frame))


def test_third_dimension_is_left_out(squares, saved):
    frame = squares(ROW)
    frame["geometry"] = shapely.force_3d(frame.geometry.to_numpy(), 7.0)
    areas = read_areas(saved(frame))
    assert not areas.geometry.has_z.any()
    assert areas.edges.tolist() == ROW_EDGES


def test_points_are_joined_by_their_gabriel_graph(saved):
    points = gpd.points_from_xy([0, 1000, 2000, 0, 1000, 2000], [0, 0, 0, 1000, 1000, 1000])
    frame = gpd.GeoDataFrame({"id": list("abcdef")}, geometry=points, crs="EPSG:32617")
    frame["geometry"] = frame.translate(500_000, 4_000_000)
    reading = read_map(saved(frame))
    assert reading.kind == "points"
    expected = [[0, 1], [0, 3], [1, 2], [1, 4], [2, 5], [3, 4], [4, 5]]
    assert reading.areas.edges.tolist() == expected
