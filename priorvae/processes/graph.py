"""Spectra of a map's graph, which diagonalise the priors that live on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError, preview

__all__ = [
    "Spectrum",
    "adjacency_spectrum",
    "laplacian_spectrum",
    "refuse_isolated",
    "refuse_outside",
]


class Spectrum(NamedTuple):
    """Eigenvalues and orthonormal eigenvectors of a symmetric matrix, float64."""

    values: np.ndarray
    """Shape `(area,)`."""
    vectors: np.ndarray
    """One eigenvector a column, `(area, area)`."""


def laplacian_spectrum(areas: Areas) -> Spectrum:
    """Decompose `D - W` component by component: no eigenvector has support on two of them.

    Each component of m areas has one null vector, here exactly `1 / sqrt(m)`, with an eigenvalue of
    exactly 0; eigenvectors are in the order of the components, and ascending within each.
    """
    adjacency = areas.adjacency
    labels = areas.components
    values, vectors = np.zeros(len(areas)), np.zeros((len(areas), len(areas)))
    start = 0
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        inside = adjacency[members][:, members].toarray()
        part_values, part_vectors = np.linalg.eigh(np.diag(inside.sum(axis=1)) - inside)
        part_values[0], part_vectors[:, 0] = 0.0, len(members) ** -0.5
        columns = np.arange(start, start + len(members))
        values[columns] = part_values
        vectors[np.ix_(members, columns)] = part_vectors
        start += len(members)
    return Spectrum(values, vectors)


def adjacency_spectrum(areas: Areas) -> Spectrum:
    """Decompose `D^-1/2 W D^-1/2`, of a graph without isolated areas, eigenvalues ascending."""
    scale = 1 / np.sqrt(areas.degrees)
    return Spectrum(*np.linalg.eigh(scale[:, None] * areas.adjacency.toarray() * scale))


def refuse_outside(what: str, values: Iterable[float], spectrum: Spectrum, purpose: str) -> None:
    """Refuse a dependence outside `(1 / lambda_min, 1)`, `lambda` of `adjacency_spectrum`.

    Raises:
        ProcessError: A value is outside; `what` names it and `purpose` says what it breaks.
    """
    low = 1 / spectrum.values[0]
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
