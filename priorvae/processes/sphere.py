"""Distances on the Earth, from a map's projected centroids.

The Earth is taken as a sphere of its mean radius, with geographic latitude as the angle: distances
are within about half a per cent of those on the ellipsoid.
"""

from __future__ import annotations

import numpy as np
import pyproj
from pyproj.exceptions import CRSError
from scipy.spatial.distance import cdist

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError

__all__ = [
    "EARTH_RADIUS_KM",
    "chordal_distances",
    "great_circle_distances",
    "longitude_latitude",
]

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (International Union of Geodesy and Geophysics)."""


def longitude_latitude(areas: Areas) -> np.ndarray:
    """Return the centroids' longitudes and latitudes in degrees, `(area, 2)`.

    The inverse of the projection the map was brought to, on the same datum.

    Raises:
        ProcessError: The map does not say where on the Earth it is.
    """
    source = areas.provenance.source
    try:
        plane = pyproj.CRS.from_user_input(areas.crs or "local")
        if plane.geodetic_crs is None or areas.centroids is None:
            raise CRSError("no geodetic coordinate reference system")
    except CRSError:
        raise ProcessError(
            f"distances on the sphere need a map with a coordinate reference system, and {source} "
            f"has {areas.crs or 'none'!r}; give the map's crs (`areas.crs`), or use "
            "`distance: euclidean`"
        ) from None
    # Plane coordinates are metres in every map that has a CRS (see `priorvae.areas.projection`).
    inverse = pyproj.Transformer.from_crs(plane, plane.geodetic_crs, always_xy=True)
    degrees = np.column_stack(inverse.transform(*(1000 * areas.centroids.T)))
    if not np.isfinite(degrees).all():
        raise ProcessError(f"{source}: centroids lie outside the range of {plane.name!r}")
    return degrees


def chordal_distances(degrees: np.ndarray) -> np.ndarray:
    """Return straight-line distances through the Earth in km, `(area, area)`."""
    longitude, latitude = np.radians(degrees).T
    places = np.column_stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ]
    )
    return EARTH_RADIUS_KM * cdist(places, places)


def great_circle_distances(degrees: np.ndarray) -> np.ndarray:
    """Return distances along the surface in km, `(area, area)`: `2 R arcsin(chord / 2R)`."""
    half = chordal_distances(degrees) / (2 * EARTH_RADIUS_KM)
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(half, 1.0))
