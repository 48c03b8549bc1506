"""The box around a map, and maps of some of the areas."""

import numpy as np
import pytest

from priorvae.areas.box import Box
from priorvae.areas.subset import split, subset
from priorvae.errors import AreasError
from tests.maps import lattice


def test_a_box_is_wider_than_the_centroids_by_its_margin() -> None:
    box = Box.around(lattice(3, 5), 0.1)  # extent 50 km, centroids 0..40 and 0..20
    assert box == Box((-5.0, -5.0), (45.0, 25.0))


def test_a_map_on_a_line_has_a_box_without_width() -> None:
    box = Box.around(lattice(1, 5), 0.1)
    assert box == Box((-5.0, 0.0), (45.0, 0.0))
    np.testing.assert_allclose(
        box.unit(np.array([[-5.0, 0.0], [20, 0], [45, 0]]))[:, 0], [-1, 0, 1]
    )
    with pytest.raises(AreasError, match="1 of 2 places lie outside"):
        box.check(np.array([[0.0, 0.0], [0.0, 0.1]]), ("a", "b"))


def test_units_keep_proportions() -> None:
    box = Box((0.0, 10.0), (40.0, 30.0))
    unit = box.unit(np.array([[0.0, 10.0], [40.0, 30.0], [20.0, 20.0]]))
    np.testing.assert_allclose(unit, [[-1, -0.5], [1, 0.5], [0, 0]])


def test_places_outside_are_listed() -> None:
    box = Box((0.0, 0.0), (10.0, 10.0))
    places = np.array([[5.0, 5.0], [11.0, 5.0], [5.0, -1.0], [10.0, 0.0]])
    with pytest.raises(AreasError, match=r"2 of 4 .*: b, c \(b is at 11, 5\).*model\.margin"):
        box.check(places, ("a", "b", "c", "d"))


def test_no_box_without_length() -> None:
    with pytest.raises(AreasError, match="no rectangle"):
        Box((0.0, 0.0), (0.0, 0.0))


def test_a_part_of_a_map_keeps_its_edges_and_lengths() -> None:
    whole = lattice(3, 3)  # 0 1 2 / 3 4 5 / 6 7 8
    part = subset(whole, np.array([8, 5, 4, 0]))
    assert part.ids == ("a008", "a005", "a004", "a000")
    assert part.edges.tolist() == [[0, 1], [1, 2]]
    assert part.extent == whole.extent and part.centroids is not None
    np.testing.assert_array_equal(part.centroids[0], [20.0, 20.0])


def test_a_split_is_a_partition() -> None:
    kept, out = split(np.random.default_rng(0), 159, 0.2)
    assert len(out) == 32
    np.testing.assert_array_equal(np.sort(np.r_[kept, out]), np.arange(159))
