"""What a careful analyst wants to know about a map before a prior is trained on it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from scipy.spatial import KDTree

from priorvae.areas.components import component_labels
from priorvae.areas.read import Contiguity, Islands, Reading, read_map
from priorvae.areas.types import Areas
from priorvae.errors import preview

__all__ = ["Bridge", "Overlap", "Summary", "check_areas", "summarise"]

SMALLEST_OVERLAP = 1e-6
LARGEST_GAP = 0.01
SIZE_RATIO = 1000.0


class Bridge(NamedTuple):
    """An edge added between two components.

    Attributes:
        first: Position of one end.
        second: Position of the other end.
        km: Distance between the two areas, or nan where there is nothing to measure.
    """

    first: int
    second: int
    km: float


class Overlap(NamedTuple):
    """Two polygons that claim the same ground.

    Attributes:
        first: Position of one.
        second: Position of the other.
        share: Common area over the area of the smaller.
    """

    first: int
    second: int
    share: float


@dataclass(frozen=True)
class Summary:
    """A map as an analyst sees it before training.

    Attributes:
        reading: The map and how it was read.
        area_km2: Size of each area, for polygons.
        nearest_km: Distance from each centroid to the nearest other, where there are centroids.
        link_km: Distance between the centroids of each pair of neighbours, bridges left out.
        bridges: The edges added between components.
        islands: Positions of the areas without a neighbour of their own.
        component_sizes: Number of areas in each component before bridging, largest first.
        overlaps: Pairs of polygons that overlap by more than rounding, worst first.
        gaps: Number of slivers inside the map that belong to no area.
    """

    reading: Reading
    area_km2: np.ndarray | None
    nearest_km: np.ndarray | None
    link_km: np.ndarray | None
    bridges: tuple[Bridge, ...]
    islands: tuple[int, ...]
    component_sizes: tuple[int, ...]
    overlaps: tuple[Overlap, ...]
    gaps: int

    @property
    def areas(self) -> Areas:
        """The map."""
        return self.reading.areas

    @property
    def smallest_lengthscale(self) -> float | None:
        """The shortest lengthscale in km the map can tell from noise.

        The median distance from a centroid to its nearest: below it most areas are nearly
        independent of all others, whatever the lengthscale.
        """
        return None if self.nearest_km is None else float(np.median(self.nearest_km))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What deserves a second look, in sentences."""
        return tuple(_warnings(self))


def check_areas(
    *,
    source: str | Path,
    id: str | None = None,
    name: str | None = None,
    contiguity: Contiguity = "queen",
    islands: Islands = "bridge",
    snap: float | None = None,
    crs: str | None = None,
    layer: str | None = None,
) -> Summary:
    """Read a map as `read_areas` does and summarise it.

    Raises:
        AreasError: The map cannot be used.
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
    return summarise(reading)


def summarise(reading: Reading) -> Summary:
    """Summarise a map that has been read."""
    areas = reading.areas
    own = areas.edges[~areas.bridge]
    degrees = np.bincount(own.ravel(), minlength=len(areas))
    has_polygons = reading.kind == "polygons"
    return Summary(
        reading=reading,
        area_km2=areas.geometry.area.to_numpy() / 1e6 if has_polygons else None,  # type: ignore[union-attr]
        nearest_km=_nearest(areas.centroids),
        link_km=_lengths(areas.centroids, own),
        bridges=tuple(_bridges(areas)),
        islands=tuple(np.flatnonzero(degrees == 0).tolist()),
        component_sizes=_component_sizes(own, len(areas)),
        overlaps=_overlaps(reading.source_geometry.to_numpy(), own) if has_polygons else (),  # type: ignore[union-attr]
        gaps=_gaps(reading.source_geometry) if has_polygons else 0,
    )


def _component_sizes(edges: np.ndarray, num_areas: int) -> tuple[int, ...]:
    sizes = np.bincount(component_labels(edges, num_areas))
    return tuple(sorted(sizes.tolist(), reverse=True))


def _nearest(centroids: np.ndarray | None) -> np.ndarray | None:
    return None if centroids is None else KDTree(centroids).query(centroids, k=2)[0][:, 1]


def _lengths(centroids: np.ndarray | None, edges: np.ndarray) -> np.ndarray | None:
    if centroids is None:
        return None
    return np.linalg.norm(centroids[edges[:, 0]] - centroids[edges[:, 1]], axis=1)


def _bridges(areas: Areas) -> Iterator[Bridge]:
    for i, j in areas.edges[areas.bridge].tolist():
        if areas.geometry is not None:
            km = areas.geometry.iloc[i].distance(areas.geometry.iloc[j]) / 1000
        elif areas.centroids is not None:
            km = float(np.linalg.norm(areas.centroids[i] - areas.centroids[j]))
        else:
            km = float("nan")
        yield Bridge(i, j, km)


def _overlaps(polygons: np.ndarray, edges: np.ndarray) -> tuple[Overlap, ...]:
    """Overlaps among neighbours: polygons that overlap also touch."""
    first, second = polygons[edges[:, 0]], polygons[edges[:, 1]]
    smaller = np.minimum(shapely.area(first), shapely.area(second))
    share = shapely.area(shapely.intersection(first, second)) / smaller
    found = [
        Overlap(i, j, float(s))
        for (i, j), s in zip(edges.tolist(), share, strict=True)
        if s > SMALLEST_OVERLAP
    ]
    return tuple(sorted(found, key=lambda overlap: -overlap.share))


def _gaps(polygons: gpd.GeoSeries) -> int:
    """Count holes in the whole map that are small beside an area: larger ones are lakes."""
    whole = shapely.get_parts(shapely.union_all(polygons.to_numpy()))
    holes = [hole for part in whole for hole in part.interiors]
    limit = LARGEST_GAP * float(np.median(shapely.area(polygons.to_numpy())))
    return int(sum(shapely.area(shapely.polygons(holes)) < limit)) if holes else 0


def _warnings(summary: Summary) -> Iterator[str]:
    areas, reading = summary.areas, summary.reading
    if summary.bridges:
        yield (
            f"{_count(len(summary.bridges), 'bridge')} added to join "
            f"{len(summary.component_sizes)} components: neighbours that do not touch"
        )
    elif len(summary.component_sizes) > 1:
        yield (
            f"{len(summary.component_sizes)} separate components: an ICAR needs a constraint "
            "and a scale for each, and a CAR leaves an island independent of all others"
        )
    if reading.mended:
        mended = _count(len(reading.mended), "invalid polygon")
        yield f"{mended} repaired: {preview(reading.mended)}"
    if summary.overlaps:
        worst = summary.overlaps[0]
        yield (
            f"{_count(len(summary.overlaps), 'pair')} of areas overlap, worst "
            f"{areas.names[worst.first]} and {areas.names[worst.second]} "
            f"({worst.share:.2g} of the smaller)"
        )
    if summary.gaps:
        yield (
            f"{_count(summary.gaps, 'sliver')} between areas belong to none: "
            "raise --snap if neighbours are missing"
        )
    yield from _centroid_warnings(summary)
    repeated = [name for name, count in Counter(areas.names).items() if count > 1]
    if repeated:
        yield f"{_count(len(repeated), 'name')} used twice: {preview(repeated)}; join data by id"


def _centroid_warnings(summary: Summary) -> Iterator[str]:
    areas = summary.areas
    if summary.nearest_km is not None:
        same = np.flatnonzero(summary.nearest_km < 1e-6 * (areas.extent or 1.0))
        if len(same):
            yield (
                f"{len(same)} areas share a centroid with another, so a Gaussian process cannot "
                f"tell them apart: {preview(areas.names[i] for i in same)}"
            )
    if summary.area_km2 is not None:
        ratio = summary.area_km2.max() / summary.area_km2.min()
        if ratio > SIZE_RATIO:
            yield (
                f"the largest area is {ratio:,.0f} times the smallest: "
                "distances between centroids mean different things across the map"
            )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
