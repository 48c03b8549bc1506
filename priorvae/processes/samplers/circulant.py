"""The sampler of stationary processes on regular grids: fast Fourier transforms on a torus."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import scipy.fft

from priorvae.errors import ProcessError
from priorvae.processes.base import Process
from priorvae.processes.gp import GP
from priorvae.processes.lattice import Lattice, find_lattice
from priorvae.processes.samplers.base import Hypers, LatentSampler
from priorvae.processes.torus import MARGINS, Embedding, Torus, embed

__all__ = ["CirculantSampler", "lattice_of"]

TOLERANCE = 1e-5
_WORST_ERROR = 1e-3
_NODES_AT_ONCE = 2**17
"""Nodes of the torus times draws, so that the arrays stay in the processor's cache."""


def lattice_of(process: Process) -> Lattice | None:
    """Return the grid that a stationary process on a plane lives on, or None."""
    if not isinstance(process, GP) or process.distance != "euclidean":
        return None
    assert process.areas.centroids is not None
    return find_lattice(process.areas.centroids)


@final
@dataclass(frozen=True, eq=False)
class CirculantSampler(LatentSampler):
    """Circulant embedding: `(H sqrt(lambda(theta)) z)`, cut to the grid, in `O(n log n)`.

    `lambda` are the eigenvalues of the covariance on the torus, and `H` the discrete Hartley
    transform: real, symmetric, orthogonal, and as good a matrix of eigenvectors as Fourier's. So
    one real transform makes a draw. The eigenvalues are computed in float64 for each draw's own
    theta, and applied in float32, in which the normals are drawn.

    Negative eigenvalues are replaced by 0. The error is half of what that adds to the covariance,
    relative to it: to first order, a root's relative error is half of its square's. The addition is
    measured by its variance and by its Frobenius norm, and the larger counts; so no entry of the
    covariance is off by more than twice the error times the variance.

    Source: Wood and Chan (1994), Dietrich and Newsam (1997); see `Torus`. Bracewell (1983),
    Discrete Hartley transform, J. Opt. Soc. Am. 73.

    Raises:
        ProcessError: The process is not stationary on a plane, or its areas form no regular grid;
            once it is used: the lengthscales are too long for the largest torus.
    """

    process: GP
    name: str = "circulant"

    def __post_init__(self) -> None:
        _ = self._lattice

    @property
    def torus(self) -> Torus:
        """The torus the grid is embedded in."""
        return self._accepted.torus

    @property
    def is_accurate(self) -> bool:
        """Whether the error is as small as other samplers'."""
        return self.embedding.excess <= 2 * TOLERANCE

    @property
    def latent_dim(self) -> int:
        """One normal a node of the torus."""
        return self.torus.num_nodes

    @property
    def error(self) -> float:
        """Half of the covariance's relative error, at the worst hyperparameters judged.

        Raises:
            ProcessError: It is more than a thousandth.
        """
        return self._accepted.excess / 2

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return the fields of `z (draw, latent)`, a few at a time."""
        columns = {name: values[:, None, None] for name, values in hyper.items()}
        constant = None if columns else self.torus.roots({})
        fields = np.empty((len(z), self.process.size))
        step = max(1, _NODES_AT_ONCE // self.latent_dim)
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            own = {name: values[rows] for name, values in columns.items()}
            roots = self.torus.roots(own) if constant is None else constant
            noise = z[rows].reshape(-1, *self.torus.sizes).astype(np.float32)
            fields[rows] = self._cut(noise * roots)
        return fields

    def _cut(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the Hartley transforms of `(draw, *sizes)` at the areas, `(draw, area)`."""
        columns, rows = self._lattice.shape
        # The second transform needs only what is not cut off after the first.
        half = scipy.fft.rfft(spectrum, axis=2)[:, :, :rows]
        whole = scipy.fft.fft(half, axis=1)[:, :columns]
        at = whole[:, *self._lattice.node.T]
        return (at.real - at.imag) / np.sqrt(self.latent_dim, dtype=np.float32)

    @cached_property
    def _lattice(self) -> Lattice:
        lattice = lattice_of(self.process)
        if lattice is None:
            raise ProcessError(
                f"sampler `{self.name}`: {self.process.kind} on "
                f"{self.process.areas.provenance.source} is no gp with `distance: euclidean` whose "
                "centroids lie on a regular grid, parallel to the axes; use `auto`"
            )
        return lattice

    @cached_property
    def embedding(self) -> Embedding:
        """The best torus there is, whether good enough or not."""
        return embed(self.process, self._lattice, 2 * TOLERANCE)

    @property
    def _accepted(self) -> Embedding:
        found = self.embedding
        if found.excess / 2 > _WORST_ERROR:
            raise ProcessError(
                f"sampler `{self.name}`: {self.process.kind} with kernel {self.process.kernel} has "
                f"negative eigenvalues even with a margin of {MARGINS[-1]} times the grid's side "
                f"(relative error {found.excess / 2:.1g} of the root, at most {_WORST_ERROR:g} is "
                "allowed); use `interpolated-root`, or shorter lengthscales"
            )
        return found
