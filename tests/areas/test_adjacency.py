import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from priorvae.areas import read_areas
from priorvae.errors import AreasError

EDGES = [[0, 1], [0, 2], [1, 2], [2, 3]]
MATRIX = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]])


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "from,to\na,b\na,c\nb,c\nc,d\n",
        "a,b\na,c\nb,c\nc,d\n",
        "From,To,weight\na,b,1\na,c,1\nb,c,1\nc,d,2\n",
        "focal,neighbor,weight\na,b,1\nb,a,1\na,c,1\nc,a,1\nb,c,1\nc,b,1\nc,d,1\nd,c,1\n",
        "\ufefffrom,to\r\na,b\r\n a , c \r\nb,c\r\n\r\nc,d\r\na,b\r\n",
        "id,a,b,c,d\na,0,1,1,0\nb,1,0,1,0\nc,1,1,0,1\nd,0,0,1,0\n",
        ",a,b,c,d\na,0,1,1,0\nb,1,0,1,0\nc,1,1,0,1\nd,0,0,1,0\n",
        "a,b,c,d\n0,1,1,0\n1,0,1,0\n1,1,0,1\n0,0,1,0\n",
    ],
    ids=["header", "bare", "weights", "both ways", "untidy", "matrix", "pandas", "id row"],
)
def test_csv_forms(tmp_path, text):
    areas = read_areas(write(tmp_path / "graph.csv", text))
    assert areas.ids == ("a", "b", "c", "d")
    assert areas.edges.tolist() == EDGES
    assert areas.centroids is None and areas.extent is None and areas.crs is None


def test_numbers_below_words_have_a_header(tmp_path):
    areas = read_areas(write(tmp_path / "graph.csv", "district,borders\n01,02\n02,03\n"))
    assert areas.ids == ("01", "02", "03")


def test_matrices_without_ids(tmp_path):
    csv = write(tmp_path / "m.csv", "\n".join(",".join(map(str, row)) for row in MATRIX))
    np.save(tmp_path / "m.npy", MATRIX)
    scipy.io.mmwrite(tmp_path / "m.mtx", sp.coo_matrix(MATRIX))
    for path in (csv, tmp_path / "m.npy", tmp_path / "m.mtx"):
        areas = read_areas(path)
        assert areas.ids == ("1", "2", "3", "4")
        assert areas.edges.tolist() == EDGES


@pytest.mark.parametrize("header", ["4", "0 4 shapefile id"])
def test_gal(tmp_path, header):
    text = f"{header}\na 2\nb c\nb 2\na c\nc 3\na b d\nd 1\nc\n"
    areas = read_areas(write(tmp_path / "graph.gal", text))
    assert areas.ids == ("a", "b", "c", "d")
    assert areas.edges.tolist() == EDGES


def test_gal_with_an_island(tmp_path):
    path = write(tmp_path / "graph.gal", "4\na 1\nb\nb 1\na\nc 0\n\nd 0\n")
    assert read_areas(path, islands="keep").degrees.tolist() == [1, 1, 0, 0]


def test_edge_list_with_an_island(tmp_path):
    path = write(tmp_path / "graph.csv", "from,to\na,b\nc,\n")
    assert read_areas(path, islands="keep").degrees.tolist() == [1, 1, 0]
    with pytest.raises(AreasError, match=r"islands c, and an adjacency alone has no distances"):
        read_areas(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.csv", "from,to\na,b\nb,a\nb,c\n", "not symmetric: b names c but not the reverse"),
        ("g.csv", "a,b,c\n0,1,0\n0,0,1\n0,1,0\n", "not symmetric: a names b but not the reverse"),
        ("g.gal", "3\na 1\nb\nb 0\n\nc 0\n", "not symmetric: a names b but not the reverse"),
        ("g.csv", "from,to\na,b\nb,b\nb,c\n", "cannot be its own neighbour: b"),
        ("g.csv", "1,1,0\n1,0,1\n0,1,0\n", "not a number|own neighbour"),
        ("g.csv", "0,1,0\n1,0,1\n0,1,1\n", "cannot be its own neighbour: 3"),
        ("g.csv", "0,1,0\n1,0,x\n0,1,0\n", "something not a number"),
        ("g.csv", "0,-1,0\n-1,0,1\n0,1,0\n", "not negative or missing"),
        ("g.csv", "0,nan,0\nnan,0,1\n0,1,0\n", "not negative or missing"),
        ("g.csv", "0,1,0\n1,0,1\n", "expected a square matrix or an edge list from,to"),
        ("g.csv", "0,1,0\n1,0\n0,1,0\n", "expected a square matrix or an edge list from,to"),
        ("g.csv", "a,a,c\n0,1,0\n1,0,1\n0,1,0\n", "'a' in rows 1, 2"),
        ("g.csv", "id,a,b\na,0,1\nc,1,0\n", "header and the first column must hold the same ids"),
        ("g.csv", "from,to\n,b\nb,c\n", r"line 2: expected two area ids"),
        ("g.csv", "", "got 0 rows"),
        ("g.csv", "from,to\na,b\n", "at least 3 areas, got 2"),
        ("g.gal", "3\na 1\nz\nb 0\n\nc 0\n", "neighbours that are not areas of the map: z"),
        ("g.gal", "4\na 0\n\nb 0\n\nc 0\n", "says 4 areas, the file lists 3"),
        ("g.gal", "3\na 0\n\na 0\n\nc 0\n", "area 'a' is listed twice"),
        ("g.gal", "3\na 1\nb\nb 1\na\nc 5\na b\n", "5 neighbours promised, 2 given"),
        ("g.gal", "3\na x\n", "expected its number of neighbours"),
        ("g.gal", "hello\n", "expected the number of areas"),
        ("g.mtx", "hello\n", "cannot be read as a matrix"),
        ("g.npy", "hello\n", "cannot be read as a matrix"),
    ],
)
def test_bad_files(tmp_path, name, text, message):
    with pytest.raises(AreasError, match=message):
        read_areas(write(tmp_path / name, text))


def test_arrays_of_another_shape_or_of_objects(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((3, 4)))
    with pytest.raises(AreasError, match=r"must be square, got shape \(3, 4\)"):
        read_areas(tmp_path / "flat.npy")
    np.save(tmp_path / "cube.npy", np.zeros((3, 3, 3)))
    with pytest.raises(AreasError, match=r"matrix"):
        read_areas(tmp_path / "cube.npy")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    with pytest.raises(AreasError, match=r"cannot be read as a matrix"):
        read_areas(tmp_path / "object.npy")


def test_options_without_effect_are_refused(tmp_path):
    path = write(tmp_path / "graph.csv", "from,to\na,b\nb,c\n")
    with pytest.raises(AreasError, match=r"no geometry or columns that 'crs' could apply to"):
        read_areas(path, crs="EPSG:4326")
    with pytest.raises(AreasError, match=r"leave out id, name"):
        read_areas(path, id="from", name="to")
