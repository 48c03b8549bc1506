"""Samplers of dense covariances: a Cholesky factor for each draw, or one interpolated root."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes import chebyshev
from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.conditions import unit_vector
from priorvae.processes.roots import InterpolatedRoot
from priorvae.processes.samplers.base import Hypers, LatentSampler, one_by_one

__all__ = ["CholeskySampler", "InterpolatedRootSampler", "require_dense"]

TOLERANCE = 1e-5
"""Of the interpolated root. The covariance is then off by about twice as much, relatively: what
the sampling error of ten thousand million draws would hide."""

_SMALLEST_PIVOT = 1e-7

LARGEST_DENSE = 12_000
"""Values beyond which one covariance takes more than a gigabyte."""


def require_dense(process: Process, purpose: str) -> None:
    """Refuse a process without a covariance, or too large for one.

    Raises:
        ProcessError: The process is not Gaussian, or its fields have too many values.
    """
    require_gaussian(process, purpose)
    if process.size > LARGEST_DENSE:
        raise ProcessError(
            f"{purpose} holds covariances of {process.kind}, here of {process.size:,} values and "
            f"{8e-9 * process.size**2:.0f} GB each; beyond {LARGEST_DENSE:,} use a process on the "
            "graph (car, leroux, sar, icar, bym2), or a gp on a regular grid"
        )


@final
@dataclass(frozen=True, eq=False)
class CholeskySampler(LatentSampler):
    """One Cholesky factorisation a draw, `O(n^3)`: the oracle, and the rival to beat.

    Raises:
        ProcessError: The process has no covariance.
    """

    process: Gaussian
    name: str = "cholesky"
    error: float = 0.0

    def __post_init__(self) -> None:
        require_dense(self.process, f"sampler `{self.name}`")

    @property
    def latent_dim(self) -> int:
        """One normal a value."""
        return self.process.size

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `chol(K(theta)) z` for each draw.

        Raises:
            ProcessError: The covariance is singular.
        """
        fields = np.empty((len(z), self.latent_dim))
        for index, values in enumerate(one_by_one(hyper, len(z))):
            fields[index] = self._factor(values) @ z[index]
        return fields

    def _factor(self, hyper: dict[str, float]) -> np.ndarray:
        covariance = self.process.covariance(hyper)
        try:
            factor = np.linalg.cholesky(covariance)
            # Rounding can carry a singular matrix past the test of LAPACK.
            singular = np.diag(factor).min() < _SMALLEST_PIVOT * np.diag(factor).max()
        except np.linalg.LinAlgError:
            singular = True
        if singular:
            raise ProcessError(
                f"the covariance of {self.process.kind} is singular, and Cholesky needs a "
                "positive definite one; use another sampler"
            )
        return factor


@final
@dataclass(frozen=True, eq=False)
class InterpolatedRootSampler(LatentSampler):
    """`sum_r c_r(theta) M_r z`: a few matrix products serve a whole block of draws.

    The root is factorised and interpolated in float64 and applied in float32, in which the normals
    are drawn.

    Raises:
        ProcessError: The process has no covariance.
    """

    process: Gaussian
    name: str = "interpolated-root"

    def __post_init__(self) -> None:
        require_dense(self.process, f"sampler `{self.name}`")

    @cached_property
    def root(self) -> InterpolatedRoot:
        """The root over the hyperparameters' range."""
        process = self.process
        return InterpolatedRoot.economical(
            process.root, process.conditions, process.size, TOLERANCE
        )

    @cached_property
    def _transposed(self) -> np.ndarray:
        """`M_r'`, float32, `(rank, latent, size)`."""
        return np.ascontiguousarray(self.root.matrices.transpose(0, 2, 1), dtype=np.float32)

    @property
    def latent_dim(self) -> int:
        """Columns of the root."""
        return self.root.matrices.shape[2]

    @property
    def error(self) -> float:
        """Error of the interpolation."""
        return self.root.error

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `R(theta) z` for each draw."""
        units = unit_vector(self.process.conditions, hyper, np) if hyper else np.zeros((0, len(z)))
        mix = chebyshev.features(units, self.root.degrees).T @ self.root.coefficients
        mix, z = mix.astype(np.float32), z.astype(np.float32)
        fields = np.zeros((len(z), self._transposed.shape[2]), np.float32)
        for weight, matrix in zip(mix.T, self._transposed, strict=True):
            fields += (weight[:, None] * z) @ matrix
        return fields.astype(np.float64)
