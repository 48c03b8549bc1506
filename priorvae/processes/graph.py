"""Matrices of a map's graph, and their spectra."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError, preview

__all__ = [
    "Spectrum",
    "incidence",
    "laplacian",
    "normalised_adjacency",
    "refuse_isolated",
    "refuse_outside",
    "spectrum",
]


class Spectrum(NamedTuple):
    """Eigenvalues and orthonormal eigenvectors of a symmetric matrix, float64."""

    values: np.ndarray
    """Shape `(area,)`."""
    vectors: np.ndarray
    """One eigenvector a column, `(area, area)`."""


def laplacian(areas: Areas) -> sp.csr_array:
    """Return `D - W`, sparse."""
    return sp.csr_array(sp.diags_array(areas.degrees.astype(float)) - areas.adjacency)


def normalised_adjacency(areas: Areas) -> sp.csr_array:
    """Return `D^-1/2 W D^-1/2`, sparse, of a graph without isolated areas."""
    scale = sp.diags_array(1 / np.sqrt(areas.degrees))
    return sp.csr_array(scale @ areas.adjacency @ scale)


def incidence(areas: Areas, signed: bool = True) -> sp.csr_array:
    """Return `B`, `(edge, area)`, with `B' B = D - W`; unsigned, with `B' B = D + W`."""
    num = len(areas.edges)
    signs = np.tile([1.0, -1.0 if signed else 1.0], num)
    rows = np.repeat(np.arange(num), 2)
    return sp.csr_array((signs, (rows, areas.edges.ravel())), shape=(num, len(areas)))


def spectrum(matrix: sp.csr_array) -> Spectrum:
    """Decompose a sparse symmetric matrix block by block: no eigenvector is on two of them.

    Eigenvectors are in the order of the blocks, and ascending within each.
    """
    count, labels = sp.csgraph.connected_components(matrix, directed=False)
    n = matrix.shape[0]
    values, vectors = np.zeros(n), np.zeros((n, n))
    start = 0
    for label in range(count):
        members = np.flatnonzero(labels == label)
        columns = np.arange(start, start + len(members))
        values[columns], vectors[np.ix_(members, columns)] = np.linalg.eigh(
            matrix[members][:, members].toarray()
        )
        start += len(members)
    return Spectrum(values, vectors)


def refuse_outside(what: str, values: Iterable[float], areas: Areas, purpose: str) -> None:
    """Refuse a dependence outside `(1 / lambda_min, 1)`, `lambda` of `normalised_adjacency`.

    Raises:
        ProcessError: A value is outside; `what` names it and `purpose` says what it breaks.
    """
    # No eigenvalue is below -1, so only beyond -1 does the graph have to be asked.
    low = -1.0
    if any(value <= low for value in values):
        matrix = normalised_adjacency(areas)
        start = np.random.default_rng(0).standard_normal(len(areas))
        lowest = sp.linalg.eigsh(matrix, 1, which="SA", v0=start, return_eigenvectors=False)
        low = 1 / float(lowest[0])
    for value in values:
        if not low < value < 1:
            raise ProcessError(
                f"{what} must lie in ({low:.3g}, 1) on this graph for {purpose}, got {value:g}"
            )


def refuse_isolated(kind: str, areas: Areas) -> None:
    """Refuse a map on which some area has no neighbour.

    Raises:
        ProcessError: There is such an area.
    """
    alone = [areas.ids[i] for i in np.flatnonzero(areas.degrees == 0)]
    if alone:
        raise ProcessError(
            f"a {kind} needs a neighbour for every area; without one: {preview(alone)}; "
            "use `islands: bridge`, or leave these areas out"
        )
