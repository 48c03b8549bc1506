"""Geometry that can stand for areas: present, polygonal (or points), and valid."""

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely

from priorvae.areas.types import Areas
from priorvae.errors import AreasError, preview

__all__ = ["Repaired", "check_geometry", "polygons_of", "repair"]

POLYGONAL = ("Polygon", "MultiPolygon")


class Repaired(NamedTuple):
    """Valid polygons, and which had to be mended.

    Attributes:
        geometry: Polygons and multipolygons (or the points given), in the order given.
        mended: `(area,)`, true where the polygon was invalid.
    """

    geometry: gpd.GeoSeries
    mended: np.ndarray


def check_geometry(geometry: gpd.GeoSeries, ids: tuple[str, ...], source: str) -> None:
    """Require that every area has geometry, and that all are polygons or all are points.

    Raises:
        AreasError: Null or empty geometry (the message lists the ids), or another type.
    """
    empty = (geometry.isna() | geometry.is_empty).to_numpy()
    if empty.any():
        raise AreasError(
            f"{source}: {_features(empty.sum())} empty or null geometry: "
            f"{preview(np.array(ids)[empty])}; remove them or supply their boundaries"
        )
    found = sorted(set(geometry.geom_type))
    if not (set(found) <= set(POLYGONAL) or found == ["Point"]):
        raise AreasError(
            f"{source}: not a map of areas: expected polygons (or points), got {preview(found)}"
        )
    if not np.isfinite(shapely.get_coordinates(geometry.to_numpy())).all():
        raise AreasError(f"{source}: some coordinates are not finite numbers")


def repair(geometry: gpd.GeoSeries, ids: tuple[str, ...], source: str) -> Repaired:
    """Make invalid polygons valid, keeping the polygonal part of what that gives, in 2-D.

    Raises:
        AreasError: A polygon has no area at all; the message lists the ids.
    """
    flat = shapely.force_2d(geometry.to_numpy())
    mended = ~shapely.is_valid(flat)
    flat[mended] = [_polygonal_part(shape) for shape in flat[mended]]
    collapsed = shapely.is_empty(flat)
    if collapsed.any():
        raise AreasError(
            f"{source}: {_features(collapsed.sum())} no area, only lines or points: "
            f"{preview(np.array(ids)[collapsed])}"
        )
    return Repaired(gpd.GeoSeries(flat, crs=geometry.crs), mended)


def polygons_of(areas: Areas) -> gpd.GeoSeries:
    """Return a map's polygons in its plane, valid there too, in metres.

    Raises:
        AreasError: The map is an adjacency alone, or of points.
    """
    source, geometry = areas.provenance.source, areas.geometry
    if geometry is None or (geometry.geom_type == "Point").any():
        what = "an adjacency alone" if geometry is None else "a map of points"
        raise AreasError(
            f"{source}: aggregation needs polygons, and this is {what}; give a boundary file"
        )
    return repair(geometry, areas.ids, source).geometry


def _polygonal_part(shape: shapely.Geometry) -> shapely.Geometry:
    """Make a shape valid; what is not polygonal in the result has no area and is dropped."""
    valid = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = shapely.get_parts(shapely.get_parts(valid))
    return shapely.union_all([part for part in parts if part.geom_type in POLYGONAL])


def _features(count: int) -> str:
    return "1 area has" if count == 1 else f"{count} areas have"
