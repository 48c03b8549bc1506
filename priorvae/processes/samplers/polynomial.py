"""The sampler of large graphs: a polynomial of a sparse matrix, and nothing but its products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.fft
import scipy.sparse as sp

from priorvae.errors import ProcessError
from priorvae.processes.base import Hyper
from priorvae.processes.graphfilter import GraphFilter
from priorvae.processes.samplers.base import Hypers, LatentSampler

__all__ = ["PolynomialSampler"]

TOLERANCE = 1e-5
_MOST_NODES = 4096
_THETAS = 9


@final
@dataclass(frozen=True, eq=False)
class PolynomialSampler(LatentSampler):
    """`left p_theta(S) right z`, with `p` the Chebyshev expansion of the response `g_theta`.

    The vectors `T_k(S) right z` do not depend on theta: one recurrence over sparse products serves
    a block of draws, each of which weighs them with the coefficients of its own theta. The degree
    is the lowest at which `p / g` deviates from 1 by no more than the tolerance, anywhere on the
    spectrum and for every theta; so no direction's standard deviation is further off.

    Source: Shuman, Vandergheynst and Frossard (2011), Chebyshev polynomial approximation for
    distributed signal processing; Higham (2008), Functions of Matrices, chapter 4.

    Raises:
        ProcessError: The process is not a function of one sparse matrix, or the polynomial would
            have more than some thousand terms.
    """

    process: GraphFilter
    name: str = "polynomial"

    def __post_init__(self) -> None:
        if not isinstance(self.process, GraphFilter):
            raise ProcessError(
                f"sampler `polynomial`: {self.process.kind} is not a smooth function of one "
                "sparse matrix, as car, sar and leroux are; use `auto`"
            )

    @property
    def latent_dim(self) -> int:
        """One normal an area."""
        return self.process.size

    @property
    def error(self) -> float:
        """Largest relative deviation of `p` from `g`."""
        return self._fit[1]

    @property
    def degree(self) -> int:
        """Sparse products a draw takes."""
        return self._fit[0]

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `left p_theta(S) right z` for each draw, computed where JAX computes by default.

        SciPy's sparse product is the quicker one on a CPU.
        """
        import jax

        on_device = jax.default_backend() != "cpu"
        return self.draw_on(z, hyper, self._doubled_on_device if on_device else self._doubled)

    def draw_on(self, z: np.ndarray, hyper: Hypers, doubled: Any) -> np.ndarray:
        """Return the draws by products with `doubled`, twice the centred `S`, SciPy's or JAX's.

        `T_{k+1} = 2 S T_k - T_{k-1}`, on columns of many draws at once.
        """
        operator = self.process.operator
        xp = np if isinstance(doubled, sp.sparray) else doubled.data.__array_namespace__()
        weights = xp.asarray(self._coefficients(hyper, len(z)))
        before = xp.asarray(np.ascontiguousarray((z * operator.right).T))
        current = doubled @ before / 2
        total = before * weights[:, 0] + current * weights[:, 1]
        for k in range(2, self.degree + 1):
            following = doubled @ current
            following -= before
            before, current = current, following
            total += current * weights[:, k]
        return (np.asarray(total) * operator.left[:, None]).T

    @cached_property
    def _doubled(self) -> sp.csr_array:
        """Twice `S`, moved and scaled so that its spectrum lies in [-1, 1]."""
        matrix, low, high, *_ = self.process.operator
        shift = sp.eye_array(matrix.shape[0], format="csr") * (high + low)
        return sp.csr_array(2 * (2 * matrix - shift) / (high - low))

    @cached_property
    def _doubled_on_device(self) -> Any:
        from jax.experimental.sparse import BCOO

        return BCOO.from_scipy_sparse(self._doubled)

    def _coefficients(self, hyper: Hypers, num_draws: int) -> np.ndarray:
        """Chebyshev coefficients of the response for each draw, `(draw, degree + 1)`."""
        columns = {name: values[:, None] for name, values in hyper.items()}
        values = self._response(2 * (self.degree + 1), columns)
        values = np.broadcast_to(values, (num_draws, values.shape[-1]))
        return _series(values)[:, : self.degree + 1]

    def _response(self, num_nodes: int, hyper: Hyper) -> np.ndarray:
        """The response at the Chebyshev nodes of the spectrum."""
        angles = np.pi * (np.arange(num_nodes) + 0.5) / num_nodes
        _, low, high, *_ = self.process.operator
        return self.process.response((high + low + (high - low) * np.cos(angles)) / 2, hyper)

    @cached_property
    def _fit(self) -> tuple[int, float]:
        """The lowest sufficient degree, and the relative deviation it leaves."""
        thetas = {c.name: c.grid(_THETAS)[:, None] for c in self.process.conditions}
        exact = np.atleast_2d(self._response(_MOST_NODES, thetas))
        series = _series(exact)
        low, high = 1, _MOST_NODES // 2
        if _deviation(series, exact, high) > TOLERANCE:
            names = " and ".join(f"{c.name} up to {c.high:g}" for c in self.process.conditions)
            raise ProcessError(
                f"sampler `polynomial`: {self.process.kind} needs more than {high} products for "
                f"{names}; lower the end of the range, or use `sparse-cholesky`"
            )
        while low < high:
            middle = (low + high) // 2
            enough = _deviation(series, exact, middle) <= TOLERANCE
            low, high = (low, middle) if enough else (middle + 1, high)
        return high, _deviation(series, exact, high)


def _series(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients from values at the nodes of the first kind, along the last axis."""
    series = scipy.fft.dct(values, type=2, axis=-1) / values.shape[-1]
    series[..., 0] /= 2
    return series


def _deviation(series: np.ndarray, exact: np.ndarray, degree: int) -> float:
    cut = np.zeros_like(series)
    cut[..., : degree + 1] = series[..., : degree + 1]
    cut[..., 0] *= 2
    values = scipy.fft.idct(cut * series.shape[-1], type=2, axis=-1)
    return float(np.abs(values / exact - 1).max())
