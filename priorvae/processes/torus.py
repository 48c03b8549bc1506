"""The covariance of a field on a regular grid, embedded in that of a field on a torus."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import scipy.fft
from scipy.special import erf

from priorvae.processes.base import Hyper
from priorvae.processes.gp import GP
from priorvae.processes.kernels import Separation
from priorvae.processes.lattice import Lattice

__all__ = ["MARGINS", "Embedding", "Torus", "embed"]

MARGINS = (1 / 8, 1 / 4, 1 / 2, 1, 3 / 2, 2, 3, 4, 5, 7)
"""What is added to the sides of the grid, in multiples of the longest. No side of the torus is less
than twice the grid's, so that the first three are for the short side of an oblong."""

_STEEPNESS = 3.0
_MOST_THETAS = 81


@final
@dataclass(frozen=True, eq=False)
class Torus:
    """A stationary covariance on a torus that agrees with a process's on a grid inside it.

    With `c` the covariance by lag and `T` the torus's sides, the covariance on the torus is

        c_T(h) = sum_k c(h + k T) w(h + k T),

    with a window `w` that is 1 on every lag within the grid and falls to 0 before the grid's next
    image begins. It is circulant: the discrete Fourier transform has its eigenvectors, and its
    eigenvalues are the transform of `c_T`. Without the window (the classical embedding) the
    covariance has a kink where the torus closes, and eigenvalues below 0 unless the torus is many
    lengthscales wide.

    Source: Dietrich and Newsam (1997), Fast and exact simulation of stationary Gaussian processes
    through circulant embedding of the covariance matrix, SIAM J. Sci. Comput. 18; Wood and Chan
    (1994), Simulation of stationary Gaussian processes in [0, 1]^d, J. Comput. Graph. Stat. 3;
    Bachmayr, Graham, Nguyen and Scheichl (2020), Unified analysis of periodization-based sampling
    methods for Matern covariances, SIAM J. Numer. Anal. 58, for the window.

    Attributes:
        process: A process of Euclidean distance.
        lattice: The grid its areas lie on.
        sizes: Nodes of the torus along each axis: even, or 1 where the grid has one.
    """

    process: GP
    lattice: Lattice
    sizes: tuple[int, int]

    @property
    def num_nodes(self) -> int:
        """Nodes of the torus."""
        return self.sizes[0] * self.sizes[1]

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return the covariance `c_T` by lag, nugget included, `(draw, *quarter or sizes)`.

        Where the kernel is even in each coordinate, lags from 0 to half of each side: the others
        mirror them. With anisotropy, all of them.

        Args:
            hyper: Free hyperparameters: numbers, for one draw, or arrays `(draw, 1, 1)`.
        """
        even = not self.process.anisotropic
        reaches = [_reach(n, m) for n, m in zip(self.lattice.shape, self.sizes, strict=True)]
        lags = [np.arange(0 if even else -reach, reach + 1) for reach in reaches]
        windows = [
            _window(np.abs(lag), n, reach)
            for lag, n, reach in zip(lags, self.lattice.shape, reaches, strict=True)
        ]
        values = self.process.correlation(self._apart(lags), hyper) * np.outer(*windows)
        fold = _fold_even if even else _fold
        for axis, size in zip((-2, -1), self.sizes, strict=True):
            values = fold(values, axis, size)
        values[..., 0, 0] += self.process.nugget
        return values

    def eigenvalues(self, hyper: Hyper) -> np.ndarray:
        """Return the eigenvalues `(draw, *sizes)`, some of which may be negative."""
        covariance = self.covariance(hyper)
        if self.process.anisotropic:
            # Even as a whole, c(-h) = c(h); what rounding leaves of an odd part has no real part.
            return np.ascontiguousarray(scipy.fft.fft2(covariance).real)
        return self._unfolded(_cosines(covariance, self.sizes))

    def roots(self, hyper: Hyper) -> np.ndarray:
        """Return square roots of the eigenvalues, 0 for negative ones, float32 `(draw, *sizes)`."""
        covariance = self.covariance(hyper)
        if self.process.anisotropic:
            return _roots(scipy.fft.fft2(covariance).real)
        return self._unfolded(_roots(_cosines(covariance, self.sizes)))

    def excess(self, hyper: Hyper) -> float:
        """Return by how much negative eigenvalues put the covariance of the grid off.

        What their replacement by 0 adds to the covariance is a covariance itself, so it is
        largest on the diagonal. Relative to the process: the larger of that variance's share and of
        the Frobenius norm's.
        """
        eigenvalues = self.eigenvalues(hyper)[0]
        if eigenvalues.min() >= 0:
            return 0.0
        exact, added = (
            scipy.fft.ifft2(values).real for values in (eigenvalues, np.maximum(-eigenvalues, 0))
        )
        norms = [math.sqrt(self._sum_of_squares(values)) for values in (exact, added)]
        return float(max(added[0, 0] / exact[0, 0], norms[1] / norms[0]))

    def _apart(self, lags: list[np.ndarray]) -> Separation:
        """Separations by lag; the draws of a block vary along the axis before them."""
        steps = np.stack(np.meshgrid(*lags, indexing="ij"))[:, None]
        difference = steps * np.reshape(self.lattice.spacing, (2, 1, 1, 1))
        distance = np.hypot(*difference)
        if not self.process.directed:
            return Separation(distance)
        # At distance zero any unit vector will do.
        direction = difference / np.where(distance == 0, 1.0, distance)
        direction[0] += distance == 0
        return Separation(distance, direction)

    def _unfolded(self, quarter: np.ndarray) -> np.ndarray:
        rows, columns = (np.minimum(np.arange(m), m - np.arange(m)) for m in self.sizes)
        return quarter[..., rows[:, None], columns]

    def _sum_of_squares(self, values: np.ndarray) -> float:
        """Sum the squares of a covariance, given by lag, over all pairs of the grid's nodes."""
        counts = []
        for n, m in zip(self.lattice.shape, self.sizes, strict=True):
            lag = np.minimum(np.arange(m), m - np.arange(m))
            counts.append(np.maximum(n - lag, 0))
        return float(np.einsum("i,j,ij->", *counts, values**2))


class Embedding(NamedTuple):
    """The smallest torus that is good enough, and how good it is."""

    torus: Torus
    """The torus."""
    excess: float
    """The largest excess over the hyperparameters' range."""


def embed(process: GP, lattice: Lattice, tolerance: float) -> Embedding:
    """Find the smallest torus whose excess stays within a tolerance, or else the largest.

    Judged at hyperparameters spread over their whole range, its corners among them.
    """
    thetas = _thetas(process)
    for sizes in _ladder(lattice):
        torus = Torus(process, lattice, sizes)
        excess = 0.0
        for hyper in thetas:
            excess = max(excess, torus.excess(hyper))
            if excess > tolerance and sizes != _ladder(lattice)[-1]:
                break
        if excess <= tolerance:
            break
    return Embedding(torus, excess)


def _ladder(lattice: Lattice) -> list[tuple[int, int]]:
    """Return sizes to try. What counts is the margin in km, on a short side as on a long."""
    longest = max(n * d for n, d in zip(lattice.shape, lattice.spacing, strict=True))
    tried: list[tuple[int, int]] = []
    for margin in MARGINS:
        sizes = tuple(
            1 if n == 1 else _even_fast(max(2 * n, n + margin * longest / d))
            for n, d in zip(lattice.shape, lattice.spacing, strict=True)
        )
        if sizes not in tried:
            tried.append(sizes)  # type: ignore[arg-type]
    return tried


def _even_fast(least: float) -> int:
    """Return an even size, quick to transform, that is at least `least`."""
    return 2 * int(scipy.fft.next_fast_len(math.ceil(least / 2 - 1e-9), real=True))


def _thetas(process: GP) -> list[dict[str, float]]:
    """Hyperparameters over the whole range: ends, what lies between, and every category."""
    num = min(9, int(_MOST_THETAS ** (1 / max(1, len(process.conditions))) + 1e-9))
    axes = [c.grid(len(c.labels) or num)[::-1] for c in process.conditions]
    names = [c.name for c in process.conditions]
    return [
        {name: float(v) for name, v in zip(names, values, strict=True)}
        for values in itertools.product(*axes)
    ]


def _reach(n: int, m: int) -> int:
    """The largest lag whose image does not touch those of the grid."""
    return m - n if m > 1 else 0


def _window(lag: np.ndarray, n: int, reach: int) -> np.ndarray:
    """1 up to lag `n - 1`, 0 from `reach`; in between an error function, which is smooth."""
    position = np.clip((lag - (n - 1)) / max(reach - (n - 1), 1), 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * erf(_STEEPNESS * (2 * position - 1)) / erf(_STEEPNESS))


def _fold_even(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Sum images of an even function given at lags 0, 1, ...; keep lags up to half of the size."""
    values = np.moveaxis(values, axis, -1)
    half = size // 2
    folded = values[..., : half + 1].copy()
    if size > 1:
        images = values[..., half:][..., ::-1]
        folded[..., half + 1 - images.shape[-1] :] += images
    return np.moveaxis(folded, -1, axis)


def _fold(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Sum images of a function given at lags -r, ..., r; keep one period from lag 0."""
    values = np.moveaxis(values, axis, -1)
    reach = values.shape[-1] // 2
    folded = np.zeros((*values.shape[:-1], size))
    folded[..., : reach + 1] += values[..., reach:]
    if reach:
        folded[..., size - reach :] += values[..., :reach]
    return np.moveaxis(folded, -1, axis)


def _cosines(quarter: np.ndarray, sizes: tuple[int, int]) -> Any:
    """Transform an even function, given on a quarter of the torus."""
    axes = [axis for axis, size in zip((-2, -1), sizes, strict=True) if size > 1]
    return scipy.fft.dctn(quarter, type=1, axes=axes)


def _roots(eigenvalues: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(eigenvalues, 0.0)).astype(np.float32)
