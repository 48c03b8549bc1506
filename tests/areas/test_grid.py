import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.errors import AreasError


def test_a_line():
    areas = read_areas("grid:5")
    assert areas.ids == ("1", "2", "3", "4", "5")
    assert areas.edges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    np.testing.assert_allclose(areas.centroids[:, 0], np.arange(5) + 0.5)
    assert areas.extent == 5.0


def test_a_rectangle():
    areas = read_areas("grid:15x10", contiguity="rook")
    assert len(areas) == 150
    assert areas.ids[0] == "r1c1" and areas.ids[-1] == "r15c10"
    assert len(areas.edges) == 15 * 9 + 14 * 10
    assert len(read_areas("grid:15x10").edges) == 15 * 9 + 14 * 10 + 2 * 14 * 9
    assert areas.extent == 15.0
    step = np.linalg.norm(
        areas.centroids[areas.edges[:, 0]] - areas.centroids[areas.edges[:, 1]], axis=1
    )
    np.testing.assert_allclose(step, 1.0)


@pytest.mark.parametrize(
    "text", ["grid:", "grid:x", "grid:3x", "grid:-4", "grid:3x3x3", "grid:1e3"]
)
def test_bad_text(text):
    with pytest.raises(AreasError, match=r"expected grid:N or grid:ROWSxCOLUMNS"):
        read_areas(text)


@pytest.mark.parametrize("text", ["grid:2", "grid:1x2", "grid:1000x1000"])
def test_bad_size(text):
    with pytest.raises(AreasError, match=r"between 3 and 100000 cells"):
        read_areas(text)
