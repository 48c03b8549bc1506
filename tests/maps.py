"""Small maps for tests, built directly."""

import numpy as np

from priorvae.areas.types import Areas, Provenance
from priorvae.pipeline.benchmarks import triangulated


def lattice(rows: int, columns: int, spacing: float = 10.0) -> Areas:
    """A rook-adjacent lattice of areas, `spacing` km apart."""
    index = np.arange(rows * columns).reshape(rows, columns)
    pairs = np.concatenate(
        [
            np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], axis=1),
            np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1),
        ]
    )
    edges = pairs[np.lexsort(pairs.T[::-1])]
    y, x = np.mgrid[:rows, :columns] * spacing
    ids = tuple(f"a{i:03d}" for i in range(rows * columns))
    return Areas(
        ids=ids,
        names=ids,
        edges=edges,
        bridge=np.zeros(len(edges), dtype=bool),
        centroids=np.stack([x.ravel(), y.ravel()], axis=1).astype(float),
        extent=max(rows, columns) * spacing,
        crs=None,
        provenance=Provenance("lattice"),
    )


def two_lattices_and_an_island() -> Areas:
    """A 3 x 4 lattice, a 2 x 4 lattice and an area without neighbours, apart from one another."""
    first, second = lattice(3, 4), lattice(2, 4)
    n = len(first) + len(second) + 1
    ids = tuple(f"a{i:03d}" for i in range(n))
    assert first.centroids is not None and second.centroids is not None
    places = [first.centroids, second.centroids + np.array([200.0, 0.0]), [[400.0, 0.0]]]
    edges = np.concatenate([first.edges, second.edges + len(first)])
    return Areas(
        ids=ids,
        names=ids,
        edges=edges,
        bridge=np.zeros(len(edges), dtype=bool),
        centroids=np.concatenate(places),
        extent=400.0,
        crs=None,
        provenance=Provenance("two lattices and an island"),
    )


def triangulation(num_areas: int) -> Areas:
    """Points at random in a square, joined by triangulation: the benchmarks' irregular map."""
    return triangulated(num_areas)
