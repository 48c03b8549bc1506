import sys

import pytest

from priorvae.areas import draw_areas, read_areas, save_picture
from priorvae.errors import AreasError


@pytest.mark.parametrize("source", ["builtin:virginia", "builtin:10740", "grid:20", "grid:4x3"])
def test_maps_can_be_drawn(tmp_path, source):
    figure = draw_areas(read_areas(source))
    save_picture(figure, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0].endswith("areas") and labels[1].endswith("neighbour pairs")
    assert ("1 bridge" in labels) == source.startswith("builtin")
    assert ("1 island" in labels) == (source == "builtin:10740")


def test_a_graph_without_coordinates_can_be_drawn(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("from,to\na,b\nb,c\nc,d\ne,\n")
    save_picture(draw_areas(read_areas(path, islands="keep")), tmp_path / "map.png")
    assert (tmp_path / "map.png").exists()


def test_only_its_own_picture_is_overwritten(tmp_path):
    figure = draw_areas(read_areas("grid:4"))
    mine, other = tmp_path / "new" / "map.png", tmp_path / "other.png"
    save_picture(figure, mine)
    save_picture(figure, mine)
    other.write_bytes(b"precious")
    with pytest.raises(AreasError, match=r"exists and is not a picture drawn by priorvae"):
        save_picture(figure, other)
    assert other.read_bytes() == b"precious"
    with pytest.raises(AreasError, match=r"expected a name ending in .png"):
        save_picture(figure, tmp_path / "map.pdf")


def test_drawing_leaves_no_global_figure():
    draw_areas(read_areas("grid:4"))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
