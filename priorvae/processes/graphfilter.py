"""Processes that are a function of one sparse symmetric matrix of the graph."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from priorvae.processes.base import Eigenbasis, Hyper
from priorvae.processes.graph import spectrum
from priorvae.processes.spectral import Spectral

__all__ = ["GraphFilter", "GraphOperator"]


class GraphOperator(NamedTuple):
    """A sparse symmetric matrix and the scales on either side of it."""

    matrix: sp.csr_array
    """`S`, shape `(area, area)`."""
    low: float
    """A lower bound of its eigenvalues."""
    high: float
    """An upper bound of its eigenvalues."""
    left: np.ndarray
    """Scale of each area after `S`, `(area,)`."""
    right: np.ndarray
    """Scale of each area before `S`, `(area,)`."""


class GraphFilter(Spectral):
    """A Gaussian process `f = left g_theta(S) right z`, `z ~ N(0, I)`.

    `S` is a matrix of the graph, such as `D - W`, and `g_theta` a smooth positive function of its
    eigenvalues: its `response`. A small map decomposes `S` once; on a large one, polynomials of
    `S` need only sparse products, and the precision is sparse.
    """

    @property
    @abstractmethod
    def operator(self) -> GraphOperator:
        """`S`, bounds of its spectrum, and the scales on either side."""

    @abstractmethod
    def response(self, eigenvalues: Any, hyper: Hyper) -> Any:
        """Return `g_theta` at eigenvalues of `S`; hyperparameters broadcast against them."""

    @abstractmethod
    def precision_factor(self, hyper: Hyper) -> sp.csr_array:
        """Return sparse `G` with `G' G` the precision, shape `(row, area)`."""

    def precision(self, hyper: Hyper) -> sp.csr_array:
        """Return the sparse precision matrix `(area, area)`."""
        factor = self.precision_factor(hyper)
        return sp.csr_array(factor.T @ factor)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`left U` and `U' right` with `S = U diag(lambda) U'`, gate `g_theta(lambda)`."""
        values, vectors = spectrum(self.operator.matrix)
        left, right = self.operator.left, self.operator.right

        def gate(hyper: Hyper) -> Any:
            return self.response(values, hyper)

        orthonormal = bool((right == 1).all())
        return Eigenbasis(left[:, None] * vectors, vectors.T * right, gate, orthonormal)
