"""The map with its neighbourhood graph, as a picture."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from scipy.sparse.csgraph import shortest_path

from priorvae.areas.types import Areas
from priorvae.errors import AreasError

__all__ = ["draw_areas", "draw_polygons", "save_picture"]

# Okabe and Ito's palette, told apart by readers with any colour vision; bridges are also
# heavier and islands also hollow, for a print without colour.
LAND, BORDER, INK = "#ececea", "#b9b9b5", "#3a3a3a"
CONTIGUITY, BRIDGE, ISLAND = "#0072b2", "#d55e00", "#d55e00"
MARK = "priorvae areas"
LONGEST_SIDE = 8.0


def draw_areas(areas: Areas, title: str | None = None) -> Figure:
    """Draw a map: its polygons, the graph of neighbours, bridges and islands.

    Without coordinates the areas are placed by their distances in the graph.

    Args:
        areas: The map.
        title: Heading; None gives the source.

    Returns:
        A figure without global state; write it with `savefig` or `save_picture`.
    """
    places = _layout(areas) if areas.centroids is None else areas.centroids
    polygons = _polygons(areas)
    figure = Figure(figsize=_size(places, polygons), layout="constrained", dpi=160)
    axes = figure.add_subplot()
    if polygons is not None:
        draw_polygons(axes, polygons, facecolor=LAND, edgecolor=BORDER, linewidth=0.5)
    _draw_graph(axes, areas, places)
    axes.set_aspect("equal")
    axes.margins(0.02)
    axes.autoscale_view()
    axes.set_axis_off()
    if areas.extent is not None:
        _draw_scale(axes, areas.extent)
    axes.set_title(title or areas.provenance.source, loc="left", color=INK, fontsize=12)
    figure.legend(
        handles=_legend(areas), loc="outside lower left", ncols=4, frameon=False, fontsize=9
    )
    return figure


def draw_polygons(axes: Axes, geometry: gpd.GeoSeries, **style: Any) -> PathCollection:
    """Add polygons, holes included, to axes; `style` goes to matplotlib's PathCollection.

    Pass `array`, `cmap` and `clim` for a choropleth.
    """
    collection = PathCollection([_outline(shape) for shape in geometry], **style)
    axes.add_collection(collection)
    axes.autoscale_view()
    return collection


def save_picture(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, over an earlier one of ours but over no other file.

    Raises:
        AreasError: The path is not a .png, is another file, or cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise AreasError(f"{path}: the picture is a PNG: expected a name ending in .png")
    if path.exists() and not (path.is_file() and MARK.encode() in path.read_bytes()[:2048]):
        raise AreasError(
            f"{path}: exists and is not a picture drawn by priorvae; name another file (--out)"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": MARK})
    except OSError as error:
        raise AreasError(f"{path}: cannot be written ({error.strerror})") from error


def _polygons(areas: Areas) -> gpd.GeoSeries | None:
    """The areas' polygons in km, like their centroids, or None where they are points."""
    if areas.geometry is None or (areas.geometry.geom_type == "Point").any():
        return None
    return gpd.GeoSeries(shapely.transform(areas.geometry.to_numpy(), lambda xy: xy / 1000))


def _size(places: np.ndarray, polygons: gpd.GeoSeries | None) -> tuple[float, float]:
    """Width and height of the figure in inches: the map's, with room for title and legend."""
    corners = places if polygons is None else polygons.total_bounds.reshape(2, 2)
    sides = np.ptp(corners, axis=0)
    width, height = LONGEST_SIDE * np.clip(sides / sides.max(), 0.2, 1.0)
    return max(width, 5.0), height + 0.9


def _outline(shape: shapely.Geometry) -> Outline:
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return Outline.make_compound_path(*[Outline(ring.coords, closed=True) for ring in rings])


def _draw_graph(axes: Axes, areas: Areas, places: np.ndarray) -> None:
    lines = places[areas.edges]
    own, bridge = lines[~areas.bridge], lines[areas.bridge]
    axes.add_collection(LineCollection(list(own), colors=CONTIGUITY, linewidths=0.8, alpha=0.8))
    axes.add_collection(LineCollection(list(bridge), colors=BRIDGE, linewidths=2.2, zorder=3))
    small = float(np.clip(600 / len(areas), 1.0, 14.0))
    axes.scatter(places[:, 0], places[:, 1], s=small, color=INK, zorder=4, linewidths=0)
    island = places[_islands(areas)]
    axes.scatter(
        island[:, 0],
        island[:, 1],
        s=small + 30,
        facecolors="none",
        edgecolors=ISLAND,
        linewidths=1.4,
        zorder=5,
    )


def _islands(areas: Areas) -> np.ndarray:
    """Areas whose only neighbours, if any, are across bridges."""
    own = areas.edges[~areas.bridge]
    return np.bincount(own.ravel(), minlength=len(areas)) == 0


def _legend(areas: Areas) -> list[Line2D]:
    bridges, islands = int(areas.bridge.sum()), int(_islands(areas).sum())
    ring = {"marker": "o", "linestyle": "", "markerfacecolor": "none"}
    handles = [
        Line2D(
            [], [], color=INK, marker="o", linestyle="", markersize=3, label=f"{len(areas)} areas"
        ),
        Line2D([], [], color=CONTIGUITY, label=f"{len(areas.edges) - bridges} neighbour pairs"),
    ]
    if bridges:
        label = f"{bridges} bridge{'s' if bridges > 1 else ''}"
        handles.append(Line2D([], [], color=BRIDGE, linewidth=2.2, label=label))
    if islands:
        label = f"{islands} island{'s' if islands > 1 else ''}"
        handles.append(Line2D([], [], color=ISLAND, label=label, **ring))  # type: ignore[arg-type]
    return handles


def _draw_scale(axes: Axes, extent: float) -> None:
    """Draw a bar of a round number of km, about a fifth of the map long."""
    length = _round_down(extent / 5)
    _, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    y = bottom - 0.02 * (top - bottom)
    axes.plot([right - length, right], [y, y], color=INK, linewidth=2, solid_capstyle="butt")
    axes.annotate(
        f"{length:g} km",
        (right - length / 2, y),
        xytext=(0, -4),
        textcoords="offset points",
        ha="center",
        va="top",
        color=INK,
        fontsize=9,
    )


def _round_down(value: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is no larger."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(step for step in (1, 2, 5) if step * power <= value))


def _layout(areas: Areas) -> np.ndarray:
    """Place areas by classical scaling of their distances in the graph (Torgerson 1952)."""
    hops = shortest_path(areas.adjacency, directed=False, unweighted=True)
    reached = np.isfinite(hops)
    hops[~reached] = hops[reached].max() + 2
    squared = hops**2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    return np.asarray(vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0)))[:, ::-1]
