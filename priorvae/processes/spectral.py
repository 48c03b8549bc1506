"""Processes on a graph whose root at every hyperparameter comes from one decomposition."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from priorvae.processes.base import Eigenbasis, Gaussian, Hyper

if TYPE_CHECKING:
    import jax

__all__ = ["Spectral"]


class Spectral(Gaussian):
    """A Gaussian process with root `left diag(gate(theta)) right`, exact and without a nugget.

    Attributes:
        transform: Scale of the hyperparameter on which the gate is smooth (see `Condition`).
    """

    transform: ClassVar[str]

    @property
    @abstractmethod
    def eigenbasis(self) -> Eigenbasis:
        """The decomposition shared by all hyperparameter values."""

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return the covariance in float64: the root times its transpose."""
        root = self.root(hyper)
        return root @ root.T

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        basis = self.eigenbasis
        root = (jnp.asarray(basis.left) * basis.gate(hyper)) @ jnp.asarray(basis.right)
        return root @ root.T

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return `left diag(gate(theta)) right` in float64."""
        basis = self.eigenbasis
        return (basis.left * basis.gate(hyper)) @ basis.right

    def extremes(self, name: str) -> tuple[float, ...]:
        """Return the ends of a hyperparameter's range, or its constant value."""
        ends = [(c.low, c.high) for c in self.conditions if c.name == name]
        return ends[0] if ends else (self.fixed[name],)
