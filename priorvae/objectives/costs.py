"""What a gradient costs, exactly and through a decoder: counted, and timed on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from priorvae.decoders.engines import FACTORISATION
from priorvae.processes.base import Gaussian

__all__ = [
    "DecoderShape",
    "Timing",
    "exact_operations",
    "hsgp_operations",
    "mixture_operations",
    "time_decoder",
]

LARGEST_TIMED = 1500
"""Values of a field up to which timing a factorisation takes less than a second."""

_REPEATS = 3


class DecoderShape(NamedTuple):
    """Sizes of a gated linear decoder, `f = A (g(theta) * z) + C (h(theta) * (B z))`."""

    latents: int
    """Length of z."""
    hidden: int
    """Gates in all; those beyond the latents' own mix them."""
    size: int
    """Length of f."""

    @property
    def operations(self) -> int:
        """Multiplications of a value: the products with `A`, `B` and `C`."""
        return self.hidden * self.size + self.mixing * self.latents

    @property
    def mixing(self) -> int:
        """Rows of `B`: all gates, where there are fewer than latents."""
        return self.hidden - self.latents if self.hidden >= self.latents else self.hidden


class Timing(NamedTuple):
    """Seconds on this machine, in float64 on one thread."""

    exact: float
    """Of a covariance and its Cholesky factor."""
    decoder: float
    """Of a decoder's matrix-vector products."""


def exact_operations(size: int) -> int:
    """Return what an exact gradient costs, in multiplications of a decoder's value: `n^3 / 2`.

    The factorisation takes `n^3 / 6`, and going backwards through it twice as many (Murray 2016,
    Differentiation of the Cholesky decomposition, arXiv:1602.07527); measured, with the kernel, a
    gradient takes as long as that of a decoder with `FACTORISATION n^3` multiplications.
    """
    return int(FACTORISATION * size**3)


def mixture_operations(rank: int, latents: int, size: int) -> int:
    """Return the multiplications of `sum_r c_r(theta) M_r z`."""
    return rank * latents * size


def hsgp_operations(functions: int, size: int) -> int:
    """Return the multiplications of a sum of basis functions at so many places."""
    return functions * size


def time_decoder(process: Gaussian, shape: DecoderShape) -> Timing | None:
    """Time a decoder of some shape against the exact process, at the middle of its range.

    Returns:
        None where it would take a second or more.
    """
    if process.size > LARGEST_TIMED:
        return None
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    # A Cholesky factor needs a regular matrix, and costs the same with some more on the diagonal.
    ridge = 1e-6 * np.eye(process.size)
    first = np.ones((shape.mixing, shape.latents))
    second = np.ones((shape.size, shape.hidden))
    z = np.ones(shape.latents)
    own = z[: shape.hidden - shape.mixing]
    with threadpool_limits(1, user_api="blas"):
        exact = _quickest(lambda: linalg.cholesky(process.covariance(middle) + ridge, lower=True))
        return Timing(exact, _quickest(lambda: second @ np.append(own, first @ z)))


def _quickest(call: Callable[[], object]) -> float:
    """Return the seconds of a call, the least of a few: the rest is other work."""
    found = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)
