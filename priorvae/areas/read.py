"""One door for every source: a boundary file, an adjacency, a folder, a built-in or a grid."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import geopandas as gpd
import numpy as np
import shapely

from priorvae.areas import adjacency, boundaries, builtin, grid
from priorvae.areas.boundaries import Boundaries
from priorvae.areas.checksum import sha256_of
from priorvae.areas.components import connect
from priorvae.areas.contiguity import contiguity_edges, gabriel_edges
from priorvae.areas.folder import read_folder
from priorvae.areas.ids import area_ids, area_names, id_column, name_column
from priorvae.areas.polygons import check_geometry, repair
from priorvae.areas.projection import crs_text, declare_crs, metres_per_unit, project, unwrap
from priorvae.areas.types import Areas, Provenance
from priorvae.errors import AreasError, nearest

__all__ = ["Contiguity", "Islands", "Reading", "read_areas", "read_map"]

Contiguity = Literal["queen", "rook"]
Islands = Literal["bridge", "keep", "error"]

SNAP_FRACTION = 1e-6
"""Default tolerance as a fraction of the extent: 1 m on a map of 1000 km."""


@dataclass(frozen=True)
class Reading:
    """A map, and what reading it found out.

    Attributes:
        areas: The map.
        kind: `polygons`, `points` or `adjacency`.
        id_column: Column the ids came from, where there was one.
        name_column: Column the names came from, where there was one.
        source_crs: What the coordinates of the source are in, where it has any.
        snap: Tolerance of contiguity in metres, for polygons.
        mended: Ids of the polygons that were invalid and have been made valid.
        source_geometry: Geometry in the coordinates of the source, valid, where it has any.
    """

    areas: Areas
    kind: Literal["polygons", "points", "adjacency"]
    id_column: str | None = None
    name_column: str | None = None
    source_crs: str | None = None
    snap: float | None = None
    mended: tuple[str, ...] = ()
    source_geometry: gpd.GeoSeries | None = None


def read_areas(
    source: str | Path,
    *,
    id: str | None = None,
    name: str | None = None,
    contiguity: Contiguity = "queen",
    islands: Islands = "bridge",
    snap: float | None = None,
    crs: str | None = None,
    layer: str | None = None,
) -> Areas:
    """Read a map from any source.

    Args:
        source: A boundary file (.gpkg, .geojson, .json, .topojson, .shp, .zip of a shapefile,
            .fgb) of polygons or points; an adjacency file (.csv edge list or matrix, .gal, .npy,
            .mtx); a folder with `areas.csv` and `edges.csv`; `builtin:NAME`; `grid:N` or
            `grid:ROWSxCOLUMNS`.
        id: Column that identifies the areas. None takes a built-in's own, or the only column
            of a usual name.
        name: Column that names the areas for people.
        contiguity: `queen` (polygons that touch) or `rook` (that share a stretch of boundary).
            Points are joined by their Gabriel graph.
        islands: What to do with separate components: `bridge` joins them by a minimum spanning
            tree over the distances between them and marks the edges; `keep`; `error`.
        snap: Distance in metres up to which polygons count as touching. None is a millionth
            of the map's extent.
        crs: What the coordinates of the file are in, such as `EPSG:4326`; `local` for plane
            coordinates in metres. Needed where the file does not say.
        layer: Layer of the file, where it has several.

    Returns:
        The map, with centroids in km.

    Raises:
        AreasError: The source cannot be used; the message says why and what to do.

    Examples:
        >>> len(read_areas("builtin:sids2"))
        100
    """
    reading = read_map(
        source,
        id=id,
        name=name,
        contiguity=contiguity,
        islands=islands,
        snap=snap,
        crs=crs,
        layer=layer,
    )
    return reading.areas


def read_map(
    source: str | Path,
    *,
    id: str | None = None,
    name: str | None = None,
    contiguity: Contiguity = "queen",
    islands: Islands = "bridge",
    snap: float | None = None,
    crs: str | None = None,
    layer: str | None = None,
) -> Reading:
    """Read a map as `read_areas` does, and tell what reading it found out."""
    options = _Options(id, name, contiguity, islands, snap, crs)
    text = str(source)
    if text.startswith(builtin.PREFIX):
        return _from_boundaries(builtin.read_builtin(text.removeprefix(builtin.PREFIX)), options)
    if text.startswith(grid.PREFIX):
        return _from_boundaries(grid.read_grid(text.removeprefix(grid.PREFIX)), options)
    path = _existing(Path(source))
    suffix = path.suffix.lower()
    if suffix in boundaries.SUFFIXES and not path.is_dir():
        return _from_boundaries(boundaries.read_boundaries(path, layer), options)
    _refuse(path, crs=crs, snap=snap, layer=layer)
    if path.is_dir():
        return _from_folder(path, options)
    if suffix in adjacency.SUFFIXES:
        _refuse(path, id=id, name=name)
        return _from_adjacency(path, options)
    known = (*boundaries.SUFFIXES, *adjacency.SUFFIXES)
    raise AreasError(
        f"{path}: not a map: unknown kind of file {path.suffix!r}{nearest(suffix, known)}; "
        f"expected one of {' '.join(known)}"
    )


class _Options(NamedTuple):
    """What the user chose, as `read_areas` describes it."""

    id: str | None
    name: str | None
    contiguity: Contiguity
    islands: Islands
    snap: float | None
    crs: str | None


def _existing(path: Path) -> Path:
    if path.exists():
        return path
    if str(path) in builtin.builtin_names():
        raise AreasError(f"{path}: no such file (did you mean 'builtin:{path}'?)")
    beside = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
    raise AreasError(f"{path}: no such file{nearest(path.name, beside)}")


def _refuse(path: Path, **options: object) -> None:
    """Refuse options that would have no effect."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise AreasError(
            f"{path}: this source has no geometry or columns that {given[0]!r} could apply to; "
            f"leave out {', '.join(given)}"
        )


def _from_boundaries(found: Boundaries, options: _Options) -> Reading:
    source, frame = found.provenance.source, found.frame
    _require_three(len(frame), source)
    column = id_column(frame, options.id or found.id, source)
    label = name_column(frame, options.name or found.name, source)
    ids = area_ids(frame, column, source)
    check_geometry(frame.geometry, ids, source)
    given = unwrap(declare_crs(frame.geometry, options.crs or found.crs, source))
    given, mended = repair(given, ids, source)
    plane = project(given, source)
    extent = _extent(plane.total_bounds)
    is_points = bool((plane.geom_type == "Point").all())
    snap = SNAP_FRACTION * extent if options.snap is None else options.snap
    if is_points:
        touching = gabriel_edges(plane.get_coordinates().to_numpy(), ids, source)
    else:
        # In the coordinates of the source, where long straight edges are still straight.
        tolerance = snap / metres_per_unit(given.crs)
        touching = contiguity_edges(given.to_numpy(), options.contiguity, tolerance, source)
    edges, bridge = connect(touching, plane.to_numpy(), options.islands, ids, source)
    areas = Areas(
        ids=ids,
        names=area_names(frame, label, ids),
        edges=edges,
        bridge=bridge,
        centroids=plane.centroid.get_coordinates().to_numpy() / 1000,
        extent=extent / 1000,
        crs=crs_text(plane.crs),
        provenance=found.provenance,
        geometry=plane,
    )
    return Reading(
        areas=areas,
        kind="points" if is_points else "polygons",
        id_column=column,
        name_column=label,
        source_crs=crs_text(given.crs),
        snap=None if is_points else snap,
        mended=tuple(id for id, was in zip(ids, mended, strict=True) if was),
        source_geometry=given,
    )


def _from_adjacency(path: Path, options: _Options) -> Reading:
    graph = adjacency.read_graph(path)
    _require_three(len(graph.ids), str(path))
    edges, bridge = connect(graph.edges, None, options.islands, graph.ids, str(path))
    areas = Areas(
        ids=graph.ids,
        names=graph.ids,
        edges=edges,
        bridge=bridge | graph.bridge,
        centroids=None,
        extent=None,
        crs=None,
        provenance=Provenance(str(path), sha256=sha256_of([path])),
    )
    return Reading(areas, "adjacency")


def _from_folder(path: Path, options: _Options) -> Reading:
    tables = read_folder(path, options.id, options.name)
    ids, edges, marked = tables.graph
    _require_three(len(ids), str(path))
    points = None if tables.centroids is None else shapely.points(tables.centroids)
    joined, bridge = connect(edges, points, options.islands, ids, str(path))
    bridge[~bridge] = marked
    areas = Areas(
        ids=ids,
        names=tables.names,
        edges=joined,
        bridge=bridge,
        centroids=tables.centroids,
        extent=None if points is None else _extent(shapely.total_bounds(points)),
        crs=None,
        provenance=tables.provenance,
    )
    return Reading(areas, "adjacency", tables.id_column, tables.name_column)


def _require_three(count: int, source: str) -> None:
    if count < 3:
        raise AreasError(
            f"{source}: a map needs at least 3 areas, got {count}: there is no spatial "
            "structure to learn"
        )


def _extent(bounds: np.ndarray) -> float:
    """Return the longest side of a bounding box."""
    west, south, east, north = bounds
    return float(max(east - west, north - south))
