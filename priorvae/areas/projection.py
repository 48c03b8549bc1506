"""From whatever coordinates a map came in to plane coordinates in metres."""

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import (
    LambertAzimuthalEqualAreaConversion,
    UTMConversion,
)
from pyproj.exceptions import CRSError

from priorvae.errors import AreasError

__all__ = ["LOCAL", "crs_text", "declare_crs", "metres_per_unit", "project", "unwrap"]

LOCAL = {"local": 1.0, "local:km": 1000.0}
"""Plane coordinates of no place on Earth, and the metres in their unit."""

METRES_PER_DEGREE = 111_320.0
WIDEST_UTM = 12.0
"""Degrees of longitude beyond which one UTM zone is left: at 6 degrees from its central
meridian the scale is off by about half a per cent."""
NORTHERNMOST_UTM, SOUTHERNMOST_UTM = 84.0, -80.0
WORST_SCALE = 0.05
"""Relative error of scale above which a projected map (web Mercator) is projected again."""


class Bounds(NamedTuple):
    """Bounding box, in the coordinates it was taken in."""

    west: float
    south: float
    east: float
    north: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2


def declare_crs(geometry: gpd.GeoSeries, crs: str | None, source: str) -> gpd.GeoSeries:
    """Say what the coordinates are: the given CRS, or else the one they came with.

    Args:
        geometry: As read, with or without a CRS.
        crs: `EPSG:4326` and the like; `local` (metres) or `local:km` for plane coordinates of
            no place on Earth. Takes precedence over what the file says, which for GeoJSON is
            an assumption.
        source: Where the geometry came from, for messages.

    Returns:
        The same coordinates with their CRS, or in metres without one when `local`.

    Raises:
        AreasError: There is no CRS, it is unknown, or the coordinates contradict it.
    """
    if crs in LOCAL:
        metres = shapely.transform(geometry.to_numpy(), lambda xy: xy * LOCAL[crs])
        return gpd.GeoSeries(metres)
    if crs is not None:
        geometry = geometry.set_crs(_parse(crs, source), allow_override=True)
    if geometry.crs is None:
        raise AreasError(_no_crs(geometry, source))
    _check_coordinates(geometry, source)
    return geometry


def unwrap(geometry: gpd.GeoSeries) -> gpd.GeoSeries:
    """Shift longitudes to 0..360 where that makes a geographic map narrower.

    A map across the antimeridian (Fiji, Russia) spans 360 degrees of longitudes in -180..180.
    """
    if geometry.crs is None or not geometry.crs.is_geographic:
        return geometry
    longitude = shapely.get_coordinates(geometry.to_numpy())[:, 0]
    if np.ptp(_eastward(longitude)) >= np.ptp(longitude):
        return geometry
    shifted = shapely.transform(
        geometry.to_numpy(), lambda xy: np.column_stack([_eastward(xy[:, 0]), xy[:, 1]])
    )
    return gpd.GeoSeries(shifted, crs=geometry.crs)


def project(geometry: gpd.GeoSeries, source: str) -> gpd.GeoSeries:
    """Return the map in plane coordinates in metres.

    Geographic maps go to the UTM zone of their centre, or when wider than `WIDEST_UTM` degrees
    to the Lambert azimuthal equal-area projection about it, both on the map's own datum: there
    is no datum shift that could differ between machines. So do projected maps in another unit
    than metres or whose scale is off by more than `WORST_SCALE`. Others stay as they are.

    Raises:
        AreasError: The CRS is neither geographic nor projected, or the projection fails.
    """
    crs = geometry.crs
    if crs is None or _measures_metres(geometry, source):
        return geometry
    degrees = unwrap(geometry if crs.is_geographic else geometry.to_crs(crs.geodetic_crs))
    projected = degrees.to_crs(_suitable_crs(degrees))
    if not np.isfinite(shapely.get_coordinates(projected.to_numpy())).all():
        raise AreasError(
            f"{source}: cannot be projected from {crs.name!r}: check the coordinates, or "
            "project the file yourself and pass its crs (--crs)"
        )
    return projected


def metres_per_unit(crs: pyproj.CRS | None) -> float:
    """Return the metres in one unit of a CRS; for degrees, those of a degree of latitude."""
    if crs is None:
        return 1.0
    if crs.is_geographic:
        return METRES_PER_DEGREE
    return float(crs.axis_info[0].unit_conversion_factor)


def crs_text(crs: pyproj.CRS | None) -> str:
    """Return a CRS as text that reads back: `EPSG:32617`, else WKT; `local` for none."""
    if crs is None:
        return "local"
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.to_wkt()


def _parse(crs: str, source: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(crs)
    except CRSError as error:
        raise AreasError(
            f"{source}: unknown coordinate reference system {crs!r}; expected a code such as "
            "'EPSG:4326', or 'local' for plane coordinates in metres"
        ) from error


def _no_crs(geometry: gpd.GeoSeries, source: str) -> str:
    bounds = Bounds(*geometry.total_bounds)
    box = f"x {bounds.west:g} to {bounds.east:g}, y {bounds.south:g} to {bounds.north:g}"
    if _like_degrees(bounds):
        return (
            f"{source}: the file names no coordinate reference system, and its coordinates look "
            f"like degrees ({box}); pass crs='EPSG:4326' (--crs EPSG:4326) if they are "
            "longitude and latitude in WGS 84"
        )
    return (
        f"{source}: the file names no coordinate reference system ({box}); pass its crs, such "
        "as --crs EPSG:32617 for UTM zone 17 north, or --crs local for plane coordinates in metres"
    )


def _check_coordinates(geometry: gpd.GeoSeries, source: str) -> None:
    bounds = Bounds(*geometry.total_bounds)
    x = f"x {bounds.west:g} to {bounds.east:g}, y {bounds.south:g} to {bounds.north:g}"
    if geometry.crs.is_geographic:
        if bounds.west < -360 or bounds.east > 360 or bounds.south < -90 or bounds.north > 90:
            raise AreasError(
                f"{source}: {geometry.crs.name!r} is in degrees, but the coordinates are not "
                f"({x}); pass the crs they are in (--crs)"
            )
    elif _like_degrees(bounds):
        raise AreasError(
            f"{source}: {geometry.crs.name!r} is a projected system, but the coordinates look "
            f"like degrees ({x}); pass the crs they are in, such as --crs EPSG:4326"
        )


def _like_degrees(bounds: Bounds) -> bool:
    return bounds.west >= -180 and bounds.east <= 360 and bounds.south >= -90 and bounds.north <= 90


def _eastward(longitude: np.ndarray) -> np.ndarray:
    return np.where(longitude < 0, longitude + 360.0, longitude)


def _measures_metres(geometry: gpd.GeoSeries, source: str) -> bool:
    """Whether distances in a map's coordinates are metres on the ground, nearly enough."""
    crs = geometry.crs
    if crs.is_geographic:
        return False
    if not crs.is_projected:
        raise AreasError(
            f"{source}: coordinate reference system {crs.name!r} is neither geographic nor "
            "projected; pass the one the coordinates are in (--crs), or --crs local"
        )
    if metres_per_unit(crs) != 1.0:
        return False
    x, y = Bounds(*geometry.total_bounds).centre
    projection = pyproj.Proj(crs)
    factors = projection.get_factors(*projection(x, y, inverse=True))
    scales = np.array([factors.meridional_scale, factors.parallel_scale])
    return bool((abs(scales - 1) < WORST_SCALE).all())


def _suitable_crs(degrees: gpd.GeoSeries) -> pyproj.CRS:
    """Choose the projection of a geographic map, on its own datum."""
    bounds = Bounds(*degrees.total_bounds)
    narrow = bounds.east - bounds.west <= WIDEST_UTM
    if narrow and bounds.south >= SOUTHERNMOST_UTM and bounds.north <= NORTHERNMOST_UTM:
        return _utm(*bounds.centre, degrees.crs.geodetic_crs)
    return _equal_area(*bounds.centre, degrees.crs.geodetic_crs)


def _utm(longitude: float, latitude: float, datum: pyproj.CRS) -> pyproj.CRS:
    zone = int((longitude + 180) % 360 // 6) + 1
    side = "N" if latitude >= 0 else "S"
    conversion = UTMConversion(str(zone), hemisphere=side)
    return ProjectedCRS(conversion, f"{datum.name} / UTM zone {zone}{side}", geodetic_crs=datum)


def _equal_area(longitude: float, latitude: float, datum: pyproj.CRS) -> pyproj.CRS:
    # Whole degrees: the name says exactly which projection it is.
    lat, lon = round(latitude), round((longitude + 180) % 360 - 180)
    conversion = LambertAzimuthalEqualAreaConversion(lat, lon)
    place = f"{abs(lat)}{'N' if lat >= 0 else 'S'} {abs(lon)}{'E' if lon >= 0 else 'W'}"
    name = f"{datum.name} / Lambert azimuthal equal area about {place}"
    return ProjectedCRS(conversion, name, geodetic_crs=datum)
