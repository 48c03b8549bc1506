"""Small maps for tests, built directly."""

import numpy as np

from priorvae.areas.types import Areas, Provenance


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
