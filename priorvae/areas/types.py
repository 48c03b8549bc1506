"""The map: the one type every later stage reads."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from priorvae.errors import AreasError, preview

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Areas", "Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a map came from.

    Attributes:
        source: Path, `builtin:NAME` or URL the map was read from.
        licence: Licence of the boundaries, where known.
        year: Year the boundaries represent, where known.
        sha256: Checksum of the file (or of the files, in name order) that was read.
    """

    source: str
    licence: str | None = None
    year: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas of a map in a fixed order, with their neighbourhood graph.

    The order of `ids` is the order of every spatial vector in the package.

    Attributes:
        ids: Unique identifiers, one per area.
        names: Names for people, one per area (the ids where the map has none).
        edges: Pairs of positions `(edge, 2)`, each with the smaller first, sorted, no repeats.
        bridge: `(edge,)`, true where an edge was added to connect components.
        centroids: `(area, 2)` projected centroids in km, or None for an adjacency alone.
        extent: Longest side of the map's bounding box in km, or None without centroids.
        crs: Projected coordinate reference system, as text, where known.
        provenance: Where the map came from.
        geometry: Projected polygons in the order of `ids`, where the source had them.

    Raises:
        AreasError: The fields contradict one another.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    edges: np.ndarray
    bridge: np.ndarray
    centroids: np.ndarray | None
    extent: float | None
    crs: str | None
    provenance: Provenance
    geometry: "gpd.GeoSeries | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n < 3:
            raise AreasError(f"{self.provenance.source}: a map needs at least 3 areas, got {n}")
        seen: set[str] = set()
        repeated = [i for i in self.ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
        if repeated:
            raise AreasError(
                f"{self.provenance.source}: area ids must be unique, repeated: {preview(repeated)}"
            )
        if len(self.names) != n or self.bridge.shape != (len(self.edges),):
            raise AreasError(f"{self.provenance.source}: names, edges and bridges do not line up")
        if self.edges.size and not (
            self.edges.shape[1] == 2
            and (self.edges[:, 0] < self.edges[:, 1]).all()
            and self.edges.min() >= 0
            and self.edges.max() < n
        ):
            raise AreasError(f"{self.provenance.source}: edges must be pairs i < j below {n}")
        if self.centroids is not None and (
            self.centroids.shape != (n, 2) or not np.isfinite(self.centroids).all()
        ):
            raise AreasError(
                f"{self.provenance.source}: centroids must be {n} finite pairs in km, "
                f"got shape {self.centroids.shape}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def adjacency(self) -> sp.csr_array:
        """Symmetric 0/1 adjacency matrix `(area, area)`, without explicit zeros."""
        n = len(self)
        i, j = self.edges.T if len(self.edges) else (np.zeros(0, int), np.zeros(0, int))
        ones = np.ones(2 * len(i))
        return sp.csr_array((ones, (np.r_[i, j], np.r_[j, i])), shape=(n, n))

    @property
    def degrees(self) -> np.ndarray:
        """Number of neighbours of each area, `(area,)` integers."""
        return np.bincount(self.edges.ravel(), minlength=len(self))

    @property
    def components(self) -> np.ndarray:
        """Label of each area's connected component, `(area,)` integers from 0."""
        return sp.csgraph.connected_components(self.adjacency, directed=False)[1]

    def fingerprint(self) -> str:
        """Return the sha256 of ids, edges and centroids: the part a decoder depends on."""
        digest = hashlib.sha256("\n".join(self.ids).encode())
        digest.update(np.ascontiguousarray(self.edges, dtype="<i8").tobytes())
        if self.centroids is not None:
            # Micrometre rounding: the same map read twice must not differ by the last bit.
            digest.update(np.round(self.centroids, 9).astype("<f8").tobytes())
        return digest.hexdigest()
