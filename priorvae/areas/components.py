"""Islands and separate components: bridged by a minimum spanning tree, kept, or refused."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import shapely

from priorvae.errors import AreasError, nearest, preview

__all__ = ["POLICIES", "Connected", "component_labels", "connect", "minimum_bridges"]

POLICIES = ("bridge", "keep", "error")


class Connected(NamedTuple):
    """A neighbourhood graph after the policy on components.

    Attributes:
        edges: Positions `(edge, 2)`, the smaller first, sorted.
        bridge: `(edge,)`, true where the edge was added to join components.
    """

    edges: np.ndarray
    bridge: np.ndarray


def connect(
    edges: np.ndarray,
    geometry: np.ndarray | None,
    policy: str,
    ids: tuple[str, ...],
    source: str,
) -> Connected:
    """Apply the policy on islands and separate components.

    Args:
        edges: Positions `(edge, 2)` of the areas that are neighbours, sorted.
        geometry: Shapely polygons or points in plane coordinates, or None without geometry.
        policy: `bridge` joins the components by the shortest set of links (a minimum spanning
            tree over the distances between their boundaries); `keep` leaves them apart;
            `error` refuses a map of more than one component.
        ids: Ids of the areas, for messages.
        source: Where the map came from, for messages.

    Raises:
        AreasError: Unknown policy; several components under `error`, or under `bridge`
            without geometry to measure distances on.
    """
    if policy not in POLICIES:
        raise AreasError(
            f"{source}: islands must be 'bridge', 'keep' or 'error', got {policy!r}"
            f"{nearest(policy, POLICIES)}"
        )
    labels = component_labels(edges, len(ids))
    if policy == "keep" or labels.max() == 0:
        return Connected(edges, np.zeros(len(edges), bool))
    if policy == "error":
        raise AreasError(
            f"{source}: {_describe(labels, ids)}; islands='error' refuses that: choose "
            "islands='bridge' (--islands bridge) or 'keep'"
        )
    if geometry is None:
        raise AreasError(
            f"{source}: {_describe(labels, ids)}, and an adjacency alone has no distances to "
            "bridge them by; choose islands='keep' (--islands keep), add the missing pairs, or "
            "read a boundary file"
        )
    return _with_bridges(edges, minimum_bridges(geometry, labels))


def component_labels(edges: np.ndarray, num_areas: int) -> np.ndarray:
    """Return the label of each area's connected component, `(area,)` from 0."""
    graph = sp.coo_array((np.ones(len(edges)), edges.T), shape=(num_areas, num_areas))
    return np.asarray(sp.csgraph.connected_components(graph, directed=False)[1])


def minimum_bridges(geometry: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the pairs of areas that join the components at the least total distance.

    Boruvka's algorithm: in each round every component but the largest picks its shortest link
    to the rest, and links that join two components are kept; a round at least halves the
    number of components but one.

    Args:
        geometry: Shapely polygons or points `(area,)` in plane coordinates.
        labels: Component of each area, `(area,)` from 0.

    Returns:
        Positions `(component - 1, 2)`.
    """
    bridges: list[tuple[int, int]] = []
    while labels.max() > 0:
        largest = np.bincount(labels).argmax()
        small = [label for label in range(labels.max() + 1) if label != largest]
        # In order of length, ties by position: no cycle can arise among equal lengths.
        for _, i, j in sorted(_shortest_link(geometry, labels == label) for label in small):
            if labels[i] != labels[j]:
                bridges.append((i, j))
                labels = np.where(labels == labels[j], labels[i], labels)
        labels = np.unique(labels, return_inverse=True)[1]
    return np.array(bridges)


def _shortest_link(geometry: np.ndarray, inside: np.ndarray) -> tuple[float, int, int]:
    """Length and ends (smaller first) of the shortest link from a component to the others."""
    here, there = np.flatnonzero(inside), np.flatnonzero(~inside)
    tree = shapely.STRtree(geometry[there])
    pairs, length = tree.query_nearest(geometry[here], return_distance=True)
    links = zip(length, here[pairs[0]], there[pairs[1]], strict=True)
    return min((float(d), int(min(i, j)), int(max(i, j))) for d, i, j in links)


def _with_bridges(edges: np.ndarray, bridges: np.ndarray) -> Connected:
    joined = np.vstack([edges, np.sort(bridges, axis=1)])
    order = np.lexsort(joined.T[::-1])
    added = np.arange(len(joined)) >= len(edges)
    return Connected(joined[order], added[order])


def _describe(labels: np.ndarray, ids: tuple[str, ...]) -> str:
    sizes = np.bincount(labels)
    alone = [id for id, size in zip(ids, sizes[labels], strict=True) if size == 1]
    parts = f"the graph has {len(sizes)} separate components of {_sizes(sizes)} areas"
    return f"{parts}, with islands {preview(alone)}" if alone else parts


def _sizes(sizes: Iterable[int]) -> str:
    return preview(sorted(sizes, reverse=True))
