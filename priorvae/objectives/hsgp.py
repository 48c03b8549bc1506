"""How many basis functions a Hilbert space approximation of a Gaussian process would take.

An HSGP writes the field as a sum of sines on a box around the map, with independent normal weights
whose variances depend on the lengthscale alone: no training, and linear in its latents. How large
the box must be follows from the longest lengthscale, how many sines from the shortest.

Source: Riutort-Mayol, Buerkner, Andersen, Solin and Vehtari (2023), Practical Hilbert space
approximate Bayesian Gaussian processes for probabilistic programming, Statistics and Computing 33,
section 4.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from priorvae.processes.base import Gaussian
from priorvae.processes.gp import GP

__all__ = ["HilbertBasis", "hilbert_basis"]

FACTORS = {"rbf": (3.2, 1.75), "matern32": (4.5, 3.42), "matern52": (4.1, 2.65)}
"""By kernel, `a` and `b` of `c >= a l / S` and `m >= b c S / l`, their equations for each."""

SMALLEST_BOUNDARY = 1.2
"""Factor by which the box is larger than the map at the least."""


class HilbertBasis(NamedTuple):
    """A basis that serves a whole range of lengthscales, by dimension of the map."""

    boundaries: tuple[float, ...]
    """`c`: half the side of the box over half that of the map."""
    functions: tuple[int, ...]
    """`m`: sines along it."""

    @property
    def total(self) -> int:
        """Functions of all dimensions together: latents of the approximation."""
        return math.prod(self.functions)

    @property
    def words(self) -> str:
        """The basis as people write it, such as `24 x 20 = 480 basis functions`."""
        product = " x ".join(map(str, self.functions))
        total = f" = {self.total:,}" if len(self.functions) > 1 else ""
        factors = " and ".join(f"{c:.3g}" for c in self.boundaries)
        noun = "boundary factor" if len(self.boundaries) == 1 else "boundary factors"
        return f"{product}{total} basis functions ({noun} {factors})"


def hilbert_basis(process: Gaussian) -> HilbertBasis | None:
    """Return the basis that a Gaussian process's lengthscales ask for.

    Returns:
        None where no recommendation is known: other processes and kernels, anisotropy, distances
        on the sphere.
    """
    if not isinstance(process, GP) or process.kernel not in FACTORS:
        return None
    if process.distance != "euclidean" or process.anisotropic:
        return None
    shortest, longest = _lengthscales(process)
    a, b = FACTORS[process.kernel]
    places = process.areas.centroids
    assert places is not None
    halves = [half for half in np.ptp(places, axis=0) / 2 if half > 0]
    boundaries = tuple(max(SMALLEST_BOUNDARY, a * longest / half) for half in halves)
    functions = tuple(
        math.ceil(b * c * half / shortest) for c, half in zip(boundaries, halves, strict=True)
    )
    return HilbertBasis(tuple(float(c) for c in boundaries), functions)


def _lengthscales(process: GP) -> tuple[float, float]:
    for condition in process.conditions:
        if condition.name == "lengthscale":
            return condition.low, condition.high
    value = process.fixed["lengthscale"]
    return value, value
