import geopandas as gpd
import numpy as np
import pytest
import shapely

from priorvae.areas import check_areas


def test_figures_of_a_lattice():
    summary = check_areas(source="grid:3x4", contiguity="rook")
    np.testing.assert_allclose(summary.area_km2, 1.0)
    np.testing.assert_allclose(summary.nearest_km, 1.0)
    np.testing.assert_allclose(summary.link_km, 1.0)
    assert summary.smallest_lengthscale == pytest.approx(1.0)
    assert summary.component_sizes == (12,)
    assert summary.islands == () and summary.bridges == () and summary.warnings == ()


def test_islands_and_bridges(squares, saved):
    summary = check_areas(source=saved(squares([(0, 0), (1, 0), (5, 0)])))
    assert summary.component_sizes == (2, 1)
    assert summary.islands == (2,)
    (bridge,) = summary.bridges
    assert (bridge.first, bridge.second) == (1, 2)
    assert bridge.km == pytest.approx(3.0)
    assert summary.warnings[0].startswith("1 bridge added to join 2 components")


def test_kept_components_are_warned_of(squares, saved):
    summary = check_areas(source=saved(squares([(0, 0), (1, 0), (5, 0)])), islands="keep")
    assert summary.warnings[0].startswith("2 separate components")


def test_overlaps(squares, saved):
    summary = check_areas(source=saved(squares([(0, 0), (0.9, 0), (1.9, 0)])))
    (overlap,) = summary.overlaps
    assert (overlap.first, overlap.second) == (0, 1)
    assert overlap.share == pytest.approx(0.1)
    assert "1 pair of areas overlap, worst a0 and a1 (0.1 of the smaller)" in summary.warnings


def test_slivers_are_counted_and_lakes_are_not(saved):
    boxes = [shapely.box(x, y, x + 100, y + 100) for x in (0, 100) for y in (0, 100)]
    boxes[0] = boxes[0].difference(shapely.box(40, 40, 60, 60))
    boxes[1] = boxes[1].difference(shapely.box(40, 140, 41, 141))
    frame = gpd.GeoDataFrame({"id": range(4)}, geometry=boxes, crs="EPSG:32617")
    frame["geometry"] = frame.scale(100, 100, origin=(0, 0)).translate(500_000, 4_000_000)
    assert check_areas(source=saved(frame)).gaps == 1


def test_shared_centroids_sizes_and_names(saved):
    ring = shapely.box(0, 0, 300, 300).difference(shapely.box(149, 149, 151, 151))
    boxes = [ring, shapely.box(149, 149, 151, 151), shapely.box(300, 0, 600, 300)]
    frame = gpd.GeoDataFrame(
        {"id": list("abc"), "name": ["Town", "Town", "East"]}, geometry=boxes, crs="EPSG:32617"
    )
    frame["geometry"] = frame.scale(100, 100, origin=(0, 0)).translate(500_000, 4_000_000)
    warnings = "\n".join(check_areas(source=saved(frame)).warnings)
    assert "2 areas share a centroid" in warnings
    assert "the largest area is 22,500 times the smallest" in warnings
    assert "1 name used twice: Town" in warnings


def test_adjacency_alone(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("from,to\na,b\nb,c\n")
    summary = check_areas(source=path)
    assert summary.nearest_km is None and summary.smallest_lengthscale is None
    assert summary.warnings == ()


def test_mended_polygons_are_named():
    assert (
        check_areas(source="builtin:tokyo").warnings[0].startswith("10 invalid polygons repaired")
    )
