"""Sparse positive definite matrices: factorised, solved, and the diagonal of the inverse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from priorvae.errors import ProcessError

__all__ = ["factorise", "inverse_diagonal"]


def factorise(matrix: sp.csr_array) -> Any:
    """Factorise a symmetric positive definite matrix as `P' L D L' P`, with little fill.

    Returns:
        SciPy's `SuperLU`, without pivoting, so that `U = D L'`.

    Raises:
        ProcessError: The matrix is singular.
    """
    try:
        return splu(
            sp.csc_array(matrix),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError as error:
        raise ProcessError(f"a sparse precision cannot be factorised: {error}") from None


class _Front(NamedTuple):
    """The inverse's entries among one column and the rows below its diagonal."""

    members: np.ndarray
    """Positions, ascending; the column itself is the first."""
    block: np.ndarray
    """Entries of the inverse, `(member, member)`."""


def inverse_diagonal(matrix: sp.csr_array) -> np.ndarray:
    """Return the diagonal of the inverse of a symmetric positive definite matrix, `(row,)`.

    Only entries of the inverse on the pattern of `L` are computed, from its last column to its
    first: with `s` the rows below the diagonal in column j,

        Z[s, j] = -Z[s, s] L[s, j],    Z[j, j] = 1 / D[j, j] - L[s, j]' Z[s, j].

    `Z[s, s]` lies within the front of j's parent in the elimination tree, the first of `s`.

    Source: Takahashi, Fagan and Chin (1973); Rue and Martino (2007), Journal of Statistical
    Planning and Inference 137, section 2.
    """
    factor = factorise(matrix)
    lower, pivots = sp.csc_array(factor.L), factor.U.diagonal()
    lower.sort_indices()
    children: list[list[int]] = [[] for _ in pivots]
    columns = [
        (lower.indices[start + 1 : end], lower.data[start + 1 : end])
        for start, end in zip(lower.indptr[:-1], lower.indptr[1:], strict=True)
    ]
    roots: list[int] = []
    for j, (below, _) in enumerate(columns):
        (children[below[0]] if len(below) else roots).append(j)
    diagonal = np.empty(len(pivots))
    # Depth first, so that few fronts are held: those of the ancestors alone.
    stack: list[tuple[int, _Front | None]] = [(root, None) for root in roots]
    while stack:
        j, parent = stack.pop()
        front = _front(j, *columns[j], pivots[j], parent)
        diagonal[j] = front.block[0, 0]
        stack += [(child, front) for child in children[j]]
    return diagonal[factor.perm_c]


def _front(
    j: int, below: np.ndarray, column: np.ndarray, pivot: float, parent: _Front | None
) -> _Front:
    if parent is None:
        return _Front(np.array([j]), np.array([[1 / pivot]]))
    places = np.searchsorted(parent.members, below)
    known = parent.block[np.ix_(places, places)]
    new = -known @ column
    block = np.empty((len(below) + 1, len(below) + 1))
    block[1:, 1:] = known
    block[0, 1:] = block[1:, 0] = new
    block[0, 0] = 1 / pivot - column @ new
    return _Front(np.concatenate([[j], below]), block)
