import numpy as np
import pytest
import shapely

from priorvae.areas import read_areas
from priorvae.areas.cells import cover, cut
from priorvae.areas.polygons import polygons_of


def polygons(source: str) -> np.ndarray:
    return polygons_of(read_areas(source)).to_numpy()


@pytest.mark.parametrize("source", ["grid:3x4", "grid:30", "builtin:sids2", "builtin:tokyo"])
@pytest.mark.parametrize("num", [16, 150, 2000])
def test_overlaps_add_up_to_the_polygons(source: str, num: int) -> None:
    shapes = polygons(source)
    cells = cover(shapes, num)
    pieces = cut(shapes, cells)
    total = np.bincount(pieces.polygon, shapely.area(pieces.shapes), len(shapes))
    np.testing.assert_allclose(total, shapely.area(shapes), rtol=1e-9)


def test_every_overlap_is_that_of_polygon_and_square() -> None:
    """All pairs intersected one by one, without a tree and without whole cells."""
    shapes = polygons("builtin:sids2")
    cells = cover(shapes, 60)
    pieces = cut(shapes, cells)
    table = pieces.table(shapely.area(pieces.shapes), (len(shapes), len(cells))).toarray()
    brute = shapely.area(shapely.intersection(shapes[:, None], cells.boxes[None]))
    np.testing.assert_allclose(table, brute, atol=1e-9 * cells.side**2)
    assert (brute.max(axis=0) > 0).all()


@pytest.mark.parametrize("num", [100, 1000])
@pytest.mark.parametrize("source", ["grid:3x4", "builtin:sids2", "builtin:tokyo", "builtin:mexico"])
def test_about_as_many_cells_as_asked_for(source: str, num: int) -> None:
    assert len(cover(polygons(source), num)) == pytest.approx(num, rel=0.08)


def test_cells_without_land_are_left_out() -> None:
    """Two squares of 1 km, 98 km apart on the diagonal: cells are of the squares' size."""
    far = shapely.box([0, 98_000], [0, 98_000], [1000, 99_000], [1000, 99_000])
    cells = cover(far, 50)
    assert 30 <= len(cells) <= 70
    assert cells.side < 350
    assert shapely.intersects(cells.boxes, shapely.union_all(far)).all()


def test_a_grid_that_fits_is_found() -> None:
    """12 squares of 1 km in 48 cells: 4 whole cells each."""
    shapes = polygons("grid:3x4")
    cells = cover(shapes, 48)
    pieces = cut(shapes, cells)
    assert (len(cells), cells.side) == (48, 500.0)
    table = pieces.table(shapely.area(pieces.shapes), (12, 48)).toarray()
    np.testing.assert_allclose(np.sort(table, axis=1)[:, -4:], 250_000.0)
    assert (np.count_nonzero(table, axis=1) == 4).all()


def test_whole_cells_are_exact_and_others_are_intersected() -> None:
    """A triangle over 4 x 4 cells: 6 whole, 4 halves on the diagonal."""
    triangle = shapely.from_wkt("POLYGON ((0 0, 4000 0, 0 4000, 0 0))")
    frame = shapely.box(0, 0, 4000, 4000)
    shapes = np.array([triangle, frame])
    cells = cover(shapes, 16)
    assert (len(cells), cells.side) == (16, 1000.0)
    pieces = cut(shapes, cells)
    areas = shapely.area(pieces.shapes[pieces.polygon == 0]) / 1e6
    np.testing.assert_allclose(np.sort(areas), [0.5] * 4 + [1.0] * 6)
    assert (pieces.polygon == 1).sum() == 16


def test_polygons_far_smaller_than_a_cell_are_not_lost() -> None:
    """A millimetre square in a corner, one across an edge, and one across four cells."""
    frame = shapely.box(0, 0, 4000, 4000)
    x, y = np.array([0.0, 1500.0, 2000.0]), np.array([0.0, 1000.0, 1000.0])
    tiny = shapely.box(x - 5e-4, y - 5e-4, x + 5e-4, y + 5e-4)
    tiny[0] = shapely.box(0, 0, 1e-3, 1e-3)
    shapes = np.array([frame, *tiny])
    cells = cover(shapes, 16)
    pieces = cut(shapes, cells)
    areas = [shapely.area(pieces.shapes[pieces.polygon == k]) for k in (1, 2, 3)]
    assert [len(found) for found in areas] == [1, 2, 4]
    for found in areas:
        np.testing.assert_allclose(found, 1e-6 / len(found), rtol=1e-5)
