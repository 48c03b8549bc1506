"""A Gaussian process between the areas: its projection on cosines over a box."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self, final

import numpy as np

from priorvae.areas.box import Box
from priorvae.errors import ProcessError
from priorvae.processes.base import Hyper, Process
from priorvae.processes.conditions import Condition
from priorvae.processes.gp import GP
from priorvae.processes.kernels import Separation
from priorvae.processes.mixture import quadrature
from priorvae.processes.roots import symmetric_root

__all__ = ["CosineProjection", "require_continuous"]

FEWEST = 20

MOST = 800
"""Cosines that are taken at most, unless a number is given; a decoder costs their square."""

MOST_ON_A_LINE = 200
"""The same on a line, where the highest frequency is their number, not its root."""

_TOLERANCE = 0.03
"""Error of the covariance to reach, if that number allows."""

_PROBES = 24


def require_continuous(process: Process, purpose: str) -> GP:
    """Return a process that exists at every place of the plane, or refuse it.

    Raises:
        ProcessError: The process lives on areas alone, or on a sphere.
    """
    if not isinstance(process, GP) or process.distance != "euclidean":
        kind = process.kind
        if isinstance(process, GP):
            kind = f"a gp of {process.distance} distance"
        raise ProcessError(
            f"{purpose} needs a prior at every place of a plane: `kind: gp` with `distance: "
            f"euclidean`; {kind} has none"
        )
    return process


class _Lags(NamedTuple):
    """Quadrature over the differences of one coordinate."""

    nodes: np.ndarray
    """Differences in units of the side, within [-1, 1], `(lag,)`."""
    products: np.ndarray
    """Weight times `int c_j(x + r) c_k(x) dx`, `(frequency, frequency, lag)`."""


@final
@dataclass(frozen=True, eq=False)
class CosineProjection:
    """The weights of `f(s) = sum_i beta_i c_i(s)`, with f a Gaussian process on a box.

    `c_i(s) = a_j cos(pi j x) a_k cos(pi k y)`, `x` and `y` in [0, 1] over the box, `a_0 = 1` and
    `a_j = sqrt(2)`: orthonormal, in the order of their frequencies. So `beta_i = int f c_i` is
    normal with `M_ij = int int c_i(s) k(s, s') c_j(s') ds ds'`, and `c(s)' M c(s')` tends to
    `k(s, s')` with the number of cosines.

    What a field has beyond the highest frequency is missing in its variance. It is put back as
    noise that the cosines can hold, `M + d I`, with d such that the mean variance between the areas
    is 1: noise of a range shorter than any the cosines resolve.

    Source: Solin and Sarkka (2020), Hilbert space methods for reduced-rank Gaussian process
    regression, Statistics and Computing 30, whose diagonal `M` is the limit of a box much larger
    than the lengthscale; with the integrals themselves the box need not be larger than the map.

    Attributes:
        process: The Gaussian process.
        box: Where it is projected.
        frequencies: `j` and `k` of each cosine, `(feature, 2)`.
    """

    process: GP
    box: Box
    frequencies: np.ndarray

    @classmethod
    def build(cls, process: GP, box: Box, number: int | None = None) -> Self:
        """Take the lowest `number` frequencies; if None, as many as the covariance takes.

        That is until `error` is at most 0.03; or 800 cosines, on a line 200.
        """
        if number is not None:
            return cls(process, box, _lowest(box, number))
        most = MOST if box.sides.min() > 0 else MOST_ON_A_LINE
        number = FEWEST
        while True:
            projection = cls(process, box, _lowest(box, number))
            if number == most or projection.error <= _TOLERANCE:
                return projection
            number = min(int(1.25 * number), most)

    @property
    def number(self) -> int:
        """Number of cosines."""
        return len(self.frequencies)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The process's own."""
        return self.process.conditions

    def features(self, places: np.ndarray) -> np.ndarray:
        """Evaluate the cosines at places `(place, 2)` in km, `(place, feature)`, float64."""
        sides = np.where(self.box.sides > 0, self.box.sides, 1.0)
        inside = (np.asarray(places) - np.asarray(self.box.low)) / sides
        columns = [_cosines(inside[:, axis], self._highest[axis]) for axis in (0, 1)]
        return columns[0][self.frequencies[:, 0]].T * columns[1][self.frequencies[:, 1]].T

    @cached_property
    def error(self) -> float:
        """Largest relative error of the covariance between areas: Frobenius's, or of a variance.

        At the ends of all conditions' ranges, where a field is roughest and smoothest.
        """
        features = self.features(self._centroids)
        errors = []
        for hyper in _ends(self.conditions):
            exact = self.process.covariance(hyper)
            held = features @ self.covariance(hyper) @ features.T
            errors.append(float(np.linalg.norm(held - exact) / np.linalg.norm(exact)))
            errors.append(float(np.abs(np.diag(held) / np.diag(exact) - 1).max()))
        return max(errors)

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `M + d I`, `(feature, feature)`, float64."""
        projected = self._projected(hyper)
        held = np.einsum("si,ij,sj->s", self._probes, projected, self._probes, optimize=True)
        missing = max(1.0 - float(held.mean()), 0.0)
        noise = missing / float(np.mean(np.sum(self._probes**2, axis=1)))
        return projected + (noise + self.process.nugget / self.number) * np.eye(self.number)

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return the symmetric root, smooth in the hyperparameters."""
        return symmetric_root(self.covariance(hyper))

    def mixture_root(self) -> np.ndarray:
        """Return the symmetric root of the covariance with the hyperparameters integrated out."""
        nodes = quadrature(self.process)
        return symmetric_root(sum(w * self.covariance(hyper) for w, hyper in nodes))  # type: ignore[arg-type]

    def _projected(self, hyper: Hyper) -> np.ndarray:
        """Return `M`: the kernel depends on differences alone, so the fourfold integral is double.

        The kernel at a grid of differences, contracted with the cosines' products over each axis.
        """
        east, north = self._lags
        width, height = self.box.sides
        x, y = np.meshgrid(width * east.nodes, height * north.nodes, indexing="ij")
        distance = np.hypot(x, y)
        apart = Separation(distance, np.stack([x, y]) / distance)
        values = np.asarray(self.process.correlation(apart, hyper))
        across = np.tensordot(east.products, values, axes=1)
        both = np.tensordot(across, north.products, axes=([2], [2]))
        j, k = self.frequencies.T
        return np.asarray(both[j[:, None], j[None], k[:, None], k[None]])

    @property
    def _centroids(self) -> np.ndarray:
        places = self.process.areas.centroids
        assert places is not None  # as every gp has
        return places

    @property
    def _highest(self) -> tuple[int, int]:
        east, north = self.frequencies.max(axis=0).tolist()
        return east, north

    @cached_property
    def _lags(self) -> tuple[_Lags, _Lags]:
        east, north = self._highest
        return _lags(east), _lags(north)

    @cached_property
    def _probes(self) -> np.ndarray:
        """The cosines on a lattice between the areas, `(place, feature)`."""
        places = self._centroids
        ends = zip(places.min(axis=0), places.max(axis=0), strict=True)
        axes = [np.linspace(low, high, _PROBES) for low, high in ends]
        return self.features(np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2))


def _lowest(box: Box, number: int) -> np.ndarray:
    """Return the pairs of frequencies that vary least per km, constant first, `(feature, 2)`."""
    sides = box.sides
    if sides.min() == 0:
        counts = np.where(sides > 0, number, 1)
    else:
        # Those pairs fill a quarter of an ellipse; twice its half axes are more than enough.
        counts = np.minimum(2 * np.sqrt(number * sides / sides[::-1]) + 2, number).astype(int)
    axes = [np.arange(count) for count in counts]
    pairs = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    per_km = pairs / np.where(sides > 0, sides, 1.0)
    return pairs[np.argsort(np.sum(per_km**2, axis=1), kind="stable")[:number]]


def _cosines(inside: np.ndarray, highest: int) -> np.ndarray:
    """Evaluate `a_j cos(pi j x)` for `j = 0, ..., highest`, `(frequency, point)`."""
    j = np.arange(highest + 1)[:, None]
    return np.where(j == 0, 1.0, 2**0.5) * np.cos(np.pi * j * inside)


def _lags(highest: int) -> _Lags:
    """Prepare the integral over a coordinate's differences, positive and negative.

    Nodes are squares of Gauss-Legendre's, dense where the kernel may have a kink, at zero. Both
    rules resolve products of the highest cosines.
    """
    t, w = _gauss(2 * highest + 16)
    r, weights = t**2, 2 * t * w
    products = np.empty((highest + 1, highest + 1, 2 * len(r)))
    for lag, (shift, weight) in enumerate(zip(r, weights, strict=True)):
        x = t * (1 - shift)
        shifted, still = _cosines(x + shift, highest), _cosines(x, highest)
        overlap = weight * (shifted * (w * (1 - shift))) @ still.T
        products[:, :, lag] = overlap
        products[:, :, len(r) + lag] = overlap.T
    return _Lags(np.concatenate([r, -r]), products)


def _gauss(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss and Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(number)
    return (x + 1) / 2, w / 2


def _ends(conditions: tuple[Condition, ...]) -> list[dict[str, float]]:
    """Return the corners of the hyperparameters' ranges, with every category."""
    axes = [range(len(c.labels)) if c.labels else (c.low, c.high) for c in conditions]
    names = [c.name for c in conditions]
    return [
        dict(zip(names, map(float, corner), strict=True)) for corner in itertools.product(*axes)
    ]
