"""Drawing one value per area, and turning a Matplotlib figure into something a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from priorvae.areas import draw_polygons

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from priorvae.areas.types import Areas

__all__ = ["DECODER", "PROCESS", "REFERENCE", "ReportFigure", "draw_areas", "finish", "new_figure"]

PROCESS, DECODER, REFERENCE = "#1f2937", "#c2410c", "#1d4ed8"
"""Colours of the two sides and of the yardstick: they differ in lightness too."""

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "priorvae",
}


@dataclass(frozen=True)
class ReportFigure:
    """A figure as it stands in the report.

    Attributes:
        section: Section of the report it belongs to.
        title: Heading above it.
        caption: What to look for.
        alt: What it shows, for those who cannot see it.
        uri: The image itself as a data URI.
        wide: Whether it needs the whole width of the page.
    """

    section: str
    title: str
    caption: str
    alt: str
    uri: str
    wide: bool = False


@contextmanager
def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> Iterator[Any]:
    """Yield `(figure, axes)` in the report's style, without pyplot and its global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(rows, columns)


def finish(figure: Figure, kind: str = "svg") -> str:
    """Return a figure as a data URI: `svg` for lines, `png` for maps and heat maps."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def draw_areas(axes: Axes, areas: Areas, values: np.ndarray, **style: Any) -> PathCollection:
    """Colour a map by one value per area.

    Polygons where the areas have them; else points joined by the graph's edges, at the centroids
    or, without those, where the graph's own geometry puts them.

    Args:
        axes: Where to draw.
        areas: The map.
        values: One value per area `(area,)`.
        **style: `cmap` and `norm` of the collection.
    """
    axes.set_axis_off()
    axes.set_aspect("equal")
    if areas.geometry is None:
        return _draw_points(axes, areas, values, **style)
    # What is finer than a pixel of the report costs time and shows nothing.
    west, _, east, _ = areas.geometry.total_bounds
    shapes = areas.geometry.simplify(0.001 * (east - west))
    border = {"edgecolors": "#00000055", "linewidths": 0.2}
    return draw_polygons(axes, shapes, array=values, **border, **style)


def _draw_points(axes: Axes, areas: Areas, values: np.ndarray, **style: Any) -> PathCollection:
    places = positions(areas)
    lines = LineCollection(list(places[areas.edges]), colors="#00000033", linewidths=0.5, zorder=1)
    axes.add_collection(lines)
    size = float(np.clip(6000 / len(areas), 4, 120))
    east, north = places.T
    return axes.scatter(east, north, c=values, s=size, edgecolors="none", zorder=2, **style)


def positions(areas: Areas) -> np.ndarray:
    """Return a place for every area `(area, 2)`: its centroid, or one found from the graph.

    Without centroids the two smoothest non-constant eigenvectors of the graph's Laplacian serve
    (Hall 1970).
    """
    if areas.centroids is not None:
        return areas.centroids
    laplacian = np.diag(areas.degrees) - areas.adjacency.toarray()
    return np.linalg.eigh(laplacian)[1][:, 1:3]
