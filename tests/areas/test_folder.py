import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.errors import AreasError

AREAS = "id,name,x_km,y_km\n03,South,0,0\n01,North,0,10\n02,Island,8,10\n"
EDGES = "from,to,kind\n03,01,contiguity\n01,02,bridge\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "areas.csv").write_text(AREAS)
    (tmp_path / "edges.csv").write_text(EDGES)
    return tmp_path


def test_the_tables_of_a_bundle_read_back(folder):
    areas = read_areas(folder)
    assert areas.ids == ("03", "01", "02")
    assert areas.names == ("South", "North", "Island")
    assert areas.edges.tolist() == [[0, 1], [1, 2]]
    assert areas.bridge.tolist() == [False, True]
    np.testing.assert_array_equal(areas.centroids, [[0, 0], [0, 10], [8, 10]])
    assert areas.extent == 10.0


def test_components_are_bridged_by_centroids(folder):
    (folder / "edges.csv").write_text("from,to\n03,01\n")
    areas = read_areas(folder)
    assert areas.edges.tolist() == [[0, 1], [1, 2]]
    assert areas.bridge.tolist() == [False, True]


def test_without_coordinates(folder):
    (folder / "areas.csv").write_text("area_id,y\n01,5\n02,6\n03,7\n")
    areas = read_areas(folder)
    assert areas.centroids is None
    assert areas.edges.tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("edges.csv", "from,to\n03,01\n01,04\n", "neighbours that are not areas of the map: 04"),
        ("areas.csv", "id\n01\n01\n02\n", "'01' in rows 1, 2"),
        ("areas.csv", "id,x_km,y_km\n01,0,0\n02,1,x\n03,1,1\n", "x_km and y_km must be numbers"),
        ("areas.csv", "id,x_km,y_km\n01,0,0\n02,1,\n03,1,1\n", "given for every area"),
        ("areas.csv", "", "cannot be read as a CSV table"),
    ],
)
def test_bad_tables(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(AreasError, match=message):
        read_areas(folder)


def test_another_folder_is_no_map(tmp_path):
    with pytest.raises(AreasError, match=r"missing: areas.csv, edges.csv"):
        read_areas(tmp_path)
