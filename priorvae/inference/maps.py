"""Choropleths of a posterior: the mean, and how sure it is."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from priorvae.areas import Areas, draw_polygons
from priorvae.errors import DataError, preview
from priorvae.inference.sampling import Fit

__all__ = ["can_map", "draw_posterior", "geometry_for"]

INK = "#3a3a3a"
# Perceptually uniform, ordered in print without colour, and safe with any colour vision.
MEAN_COLOURS, SD_COLOURS = "viridis", "cividis"
LONGEST_SIDE = 6.0


def can_map(areas: Areas) -> bool:
    """Whether the areas have a place: polygons, or at least centroids."""
    return areas.geometry is not None or areas.centroids is not None


def geometry_for(areas: Areas, area_ids: Sequence[str]) -> gpd.GeoSeries:
    """Return the areas' geometry (centroids where there is none) in the order of the ids, in km.

    Raises:
        DataError: The map lacks some of the areas.
    """
    missing = sorted(set(area_ids) - set(areas.ids))
    if missing:
        raise DataError(
            f"{areas.provenance.source}: the map lacks {len(missing)} of the prior's areas: "
            f"{preview(missing)}; give the boundary file the bundle was trained on, with the "
            "same ids"
        )
    if areas.geometry is None:
        shapes = shapely.points(areas.centroids)
    else:
        shapes = shapely.transform(areas.geometry.to_numpy(), lambda xy: xy / 1000)
    return gpd.GeoSeries(shapes, index=list(areas.ids)).loc[list(area_ids)]


def draw_posterior(fit: Fit, areas: Areas) -> Figure:
    """Draw the posterior mean and sd of the risk, or of the mean where there is no exposure.

    Args:
        fit: A fitted regression.
        areas: A map that holds its areas, in any order; areas without polygons become points.

    Raises:
        DataError: The map lacks some of the areas.
    """
    geometry = geometry_for(areas, fit.data.area_ids)
    draws = fit.draws(fit.data.measure)
    what = "risk" if fit.data.has_risk else fit.data.family.mean_name
    figure = Figure(figsize=_size(geometry), layout="constrained", dpi=160)
    figure.suptitle(fit.data.formula.text, x=0.01, ha="left", color=INK, fontsize=10)
    panels = figure.subplots(*_grid(geometry))
    _draw_panel(panels[0], geometry, draws.mean((0, 1)), f"Posterior mean of {what}", MEAN_COLOURS)
    _draw_panel(panels[1], geometry, draws.std((0, 1)), f"Posterior sd of {what}", SD_COLOURS)
    return figure


def _draw_panel(
    axes: Axes, geometry: gpd.GeoSeries, values: np.ndarray, title: str, colours: str
) -> None:
    drawn = _draw_shapes(axes, geometry, values, colours)
    axes.set_aspect("equal")
    axes.margins(0.02)
    axes.autoscale_view()
    axes.set_axis_off()
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    numbers = ScalarFormatter(useMathText=True)
    numbers.set_powerlimits((-3, 4))
    bar = axes.figure.colorbar(
        drawn, ax=axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=40, format=numbers
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, color=INK, labelcolor=INK)


def _draw_shapes(
    axes: Axes, geometry: gpd.GeoSeries, values: np.ndarray, colours: str
) -> Collection:
    if (geometry.geom_type == "Point").any():
        x, y = geometry.get_coordinates().to_numpy().T
        return axes.scatter(x, y, c=values, cmap=colours, s=60, edgecolors="white")
    return draw_polygons(
        axes, geometry, array=values, cmap=colours, edgecolor="white", linewidth=0.4
    )


def _sides(geometry: gpd.GeoSeries) -> np.ndarray:
    """Width and height of the map, the longer as 1, and neither out of sight."""
    sides = np.ptp(geometry.total_bounds.reshape(2, 2), axis=0)
    return np.clip(sides / sides.max(), 0.25, 1.0)


def _grid(geometry: gpd.GeoSeries) -> tuple[int, int]:
    """Rows and columns: a wide map's panels stand one above the other."""
    width, height = _sides(geometry)
    return (2, 1) if width > 1.4 * height else (1, 2)


def _size(geometry: gpd.GeoSeries) -> tuple[float, float]:
    rows, columns = _grid(geometry)
    width, height = LONGEST_SIDE * _sides(geometry) * (1.3 if rows == 2 else 1.0)
    return max(columns * width, 5.0), rows * (height + 0.8) + 0.4
