"""Boundary files: GeoPackage, GeoJSON, Shapefile (also zipped), TopoJSON and FlatGeobuf."""

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pyogrio
from pyogrio.errors import (
    DataLayerError,
    DataSourceError,
    FeatureError,
    FieldError,
    GeometryError,
)
from shapely.errors import GEOSException

from priorvae.areas.checksum import sha256_of
from priorvae.areas.types import Provenance
from priorvae.errors import AreasError, nearest, preview

__all__ = ["SUFFIXES", "Boundaries", "read_boundaries"]

SUFFIXES = (".gpkg", ".geojson", ".json", ".topojson", ".shp", ".zip", ".fgb")
UNREADABLE = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    GeometryError,
    GEOSException,  # Rings that do not close, in a damaged file.
    UnicodeDecodeError,
    OSError,
)
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(frozen=True)
class Boundaries:
    """Features as they stand in the source, before any check.

    Attributes:
        frame: Attributes and geometry, in the order of the source.
        provenance: Where they came from.
        id: Column known to identify the areas (built-ins and grids), if any.
        name: Column known to name the areas, if any.
        crs: What the coordinates are known to be, where the source itself does not say.
    """

    frame: gpd.GeoDataFrame
    provenance: Provenance
    id: str | None = None
    name: str | None = None
    crs: str | None = None


def read_boundaries(path: Path, layer: str | None = None) -> Boundaries:
    """Read the features of a boundary file.

    Args:
        path: An existing file with one of `SUFFIXES`.
        layer: The layer (GeoPackage), shapefile (zip) or object (TopoJSON) to read, where
            there are several.

    Raises:
        AreasError: The file cannot be read, has no such layer, or holds no geometry.
    """
    try:
        frame = gpd.read_file(path, layer=_choose_layer(path, layer))
    except UNREADABLE as error:
        raise AreasError(
            f"{path}: cannot be read as a map ({_first_line(error)}); expected GeoPackage, "
            "GeoJSON, TopoJSON, FlatGeobuf or a Shapefile with its .shx and .dbf"
        ) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise AreasError(f"{path}: not a map: its features have no geometry")
    return Boundaries(frame, Provenance(source=str(path), sha256=sha256_of(_files(path))))


def _choose_layer(path: Path, wanted: str | None) -> str | None:
    layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if not layers:
        raise AreasError(f"{path}: not a map: it has no layer with geometry")
    if wanted is not None and wanted not in layers:
        raise AreasError(
            f"{path}: no layer {wanted!r}{nearest(wanted, layers)}; it has: {preview(layers, 20)}"
        )
    if wanted is None and len(layers) > 1:
        raise AreasError(
            f"{path}: {len(layers)} layers, and no word which is the map; "
            f"name one with layer (--layer): {preview(layers, 20)}"
        )
    return wanted or layers[0]


def _files(path: Path) -> list[Path]:
    if path.suffix.lower() != ".shp":
        return [path]
    return [file for file in path.parent.glob(f"{path.stem}.*") if file.suffix in SHAPEFILE_PARTS]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
