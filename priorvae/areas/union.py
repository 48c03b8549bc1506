"""Several maps of one place as one: old and new districts, counties and their merger."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from priorvae.areas.polygons import polygons_of
from priorvae.areas.types import Areas
from priorvae.errors import AreasError, preview

__all__ = ["join_systems"]


def join_systems(first: Areas, others: Mapping[str, Areas]) -> Areas:
    """Return the disjoint union of boundary systems, in the coordinates of the first.

    Areas of the first system keep their ids; those of a further one get its name before a colon,
    `new:0101`. Areas are neighbours within a system only. Provenance, CRS and extent are those of
    the first, so that lengths in extents mean the same with and without the others.

    Args:
        first: The main map.
        others: Further maps of the same place by name; with none, the first is returned.

    Raises:
        AreasError: A map has no polygons, only one of two has a place on Earth, they lie apart, or
            a prefixed id is one of the first's.
    """
    if not others:
        return first
    frame = polygons_of(first)
    shapes = [frame, *(_in_plane_of(first, name, other) for name, other in others.items())]
    starts = np.cumsum([0, len(first), *(len(other) for other in others.values())])
    maps = [first, *others.values()]
    joined = gpd.GeoSeries(pd.concat(shapes, ignore_index=True), crs=frame.crs)
    return Areas(
        ids=_joined_ids(first, others),
        names=tuple(name for one in maps for name in one.names),
        edges=np.concatenate([one.edges + k for one, k in zip(maps, starts[:-1], strict=True)]),
        bridge=np.concatenate([one.bridge for one in maps]),
        centroids=joined.centroid.get_coordinates().to_numpy() / 1000,
        extent=first.extent,
        crs=first.crs,
        provenance=first.provenance,
        geometry=joined,
    )


def _joined_ids(first: Areas, others: Mapping[str, Areas]) -> tuple[str, ...]:
    prefixed = [f"{name}:{id}" for name, other in others.items() for id in other.ids]
    taken = sorted(set(first.ids) & set(prefixed))
    if taken:
        raise AreasError(
            f"{first.provenance.source}: has areas that are called like those of a further system: "
            f"{preview(taken)}; give the system another name"
        )
    return (*first.ids, *prefixed)


def _in_plane_of(first: Areas, name: str, other: Areas) -> gpd.GeoSeries:
    """Return a further system's polygons in the coordinates of the first."""
    there, here = polygons_of(other), polygons_of(first)
    if (there.crs is None) != (here.crs is None):
        raise AreasError(
            f"systems.{name}: of {other.provenance.source} and {first.provenance.source}, one has "
            "a place on Earth and the other has `local` coordinates; give both a crs, or neither"
        )
    moved = there if here.crs is None or there.crs == here.crs else there.to_crs(here.crs)
    box, frame = shapely.box(*moved.total_bounds), shapely.box(*here.total_bounds)
    if not np.isfinite(moved.total_bounds).all() or not shapely.intersects(box, frame):
        raise AreasError(
            f"systems.{name}: {other.provenance.source} lies elsewhere than "
            f"{first.provenance.source}: their bounding boxes do not meet; check its crs"
        )
    return moved
