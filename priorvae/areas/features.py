"""Points and polygons beside a map: where people live, and where a fine process does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from priorvae.areas import boundaries, builtin
from priorvae.areas.boundaries import Boundaries
from priorvae.areas.ids import attribute_columns
from priorvae.areas.polygons import check_geometry, repair
from priorvae.areas.projection import declare_crs
from priorvae.errors import AreasError, nearest, preview

__all__ = ["Features", "locate", "read_features"]


class Features(NamedTuple):
    """Features of a file, in the plane of a map."""

    shapes: np.ndarray
    """Points, or valid polygons, in metres `(feature,)`."""
    values: np.ndarray
    """A number for each, `(feature,)`: those of the column, or ones without a column."""
    source: str
    """The file they came from."""

    @property
    def are_points(self) -> bool:
        """Whether they are points, not polygons."""
        return bool((shapely.get_type_id(self.shapes) == shapely.GeometryType.POINT).all())


def read_features(
    source: str,
    plane: gpd.GeoSeries,
    *,
    column: str | None = None,
    layer: str | None = None,
    crs: str | None = None,
) -> Features:
    """Read points or polygons, with a number each, into the plane of a map.

    Args:
        source: A boundary file (see `priorvae.areas.read_areas`), or `builtin:NAME`.
        plane: The map's projected polygons.
        column: Column of the numbers, such as counts of people.
        layer: Layer of the file, where it has several.
        crs: What the coordinates of the file are in, where it does not say.

    Raises:
        AreasError: The file cannot be read, has no such column, or its numbers are missing or
            negative (the message lists the rows); or one of file and map has no place on Earth.
    """
    found = _find(source, layer)
    geometry, rows = found.frame.geometry, _rows(len(found.frame))
    if not rows:
        raise AreasError(f"{source}: holds no features")
    check_geometry(geometry, rows, source)
    values = _numbers(found.frame, column, source)
    given = declare_crs(geometry, crs or found.crs, source)
    moved = _moved(given, plane.crs, source)
    # What lies too far away for the map's projection lies in none of its areas.
    near = np.isfinite(moved.bounds.to_numpy()).all(axis=1)
    named = tuple(row for row, is_near in zip(rows, near, strict=True) if is_near)
    return Features(repair(moved[near], named, source).geometry.to_numpy(), values[near], source)


def locate(points: np.ndarray, polygons: np.ndarray) -> np.ndarray:
    """Return the position of the polygon that holds each point, or -1: `(point,)`.

    A point on a common boundary belongs to the first of its polygons, so it counts once.
    """
    position = np.full(len(points), len(polygons))
    point, polygon = shapely.STRtree(polygons).query(points, predicate="intersects")
    np.minimum.at(position, point, polygon)
    return np.where(position == len(polygons), -1, position)


def _find(source: str, layer: str | None) -> Boundaries:
    if source.startswith(builtin.PREFIX):
        return builtin.read_builtin(source.removeprefix(builtin.PREFIX))
    path = Path(source)
    if not path.exists():
        beside = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        raise AreasError(f"{path}: no such file{nearest(path.name, beside)}")
    if path.suffix.lower() not in boundaries.SUFFIXES:
        raise AreasError(
            f"{path}: expected a file of points or polygons, one of {' '.join(boundaries.SUFFIXES)}"
        )
    return boundaries.read_boundaries(path, layer)


def _numbers(frame: gpd.GeoDataFrame, column: str | None, source: str) -> np.ndarray:
    if column is None:
        return np.ones(len(frame))
    columns = attribute_columns(frame)
    if column not in columns:
        raise AreasError(
            f"{source}: no column {column!r}{nearest(column, columns)}; the columns are: "
            f"{preview(columns, 20) or 'none'}"
        )
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    _refuse(~np.isfinite(values), f"{source}: column {column!r} has no number in")
    _refuse(values < 0, f"{source}: column {column!r} is negative in")
    return values


def _refuse(wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        rows = np.array(_rows(len(wrong)))[wrong]
        raise AreasError(
            f"{what} {preview(rows)} of {len(wrong)} (rows count from 1); every feature needs a "
            "number of 0 or more"
        )


def _rows(num: int) -> tuple[str, ...]:
    return tuple(f"row {row}" for row in range(1, num + 1))


def _moved(given: gpd.GeoSeries, crs: pyproj.CRS | None, source: str) -> gpd.GeoSeries:
    """Return features in the coordinates of a map."""
    if (crs is None) != (given.crs is None):
        here, there = ("no place", "one") if crs is None else ("a place", "none")
        raise AreasError(
            f"{source}: the map has {here} on Earth, and this file has {there}; pass the crs of "
            "both, or `local` for both"
        )
    return given if crs is None else given.to_crs(crs)
