"""Some of a map's areas, as a map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from priorvae.areas.types import Areas

__all__ = ["split", "subset"]


def subset(areas: Areas, kept: np.ndarray) -> Areas:
    """Return the map of the areas at positions `kept`, in that order.

    Edges to areas left out are gone; the extent is still that of the whole map, so that lengths in
    extents mean the same.
    """
    position = np.full(len(areas), -1)
    position[kept] = np.arange(len(kept))
    edges = np.sort(position[areas.edges.reshape(-1, 2)], axis=1)
    inside = edges[:, 0] >= 0
    order = np.lexsort(edges[inside].T[::-1])
    source = areas.provenance
    return replace(
        areas,
        ids=tuple(areas.ids[i] for i in kept),
        names=tuple(areas.names[i] for i in kept),
        edges=edges[inside][order],
        bridge=areas.bridge[inside][order],
        centroids=None if areas.centroids is None else areas.centroids[kept],
        provenance=replace(source, source=f"{len(kept)} areas of {source.source}", sha256=None),
        geometry=None if areas.geometry is None else areas.geometry.iloc[kept],
    )


def split(rng: np.random.Generator, num_areas: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions to keep and, at random, a `share` of all to leave out, both ascending."""
    order = rng.permutation(num_areas)
    out = round(share * num_areas)
    return np.sort(order[out:]), np.sort(order[:out])
