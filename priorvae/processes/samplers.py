"""Ways to draw many fields, each with hyperparameters of its own; they interchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, final

import numpy as np

from priorvae.errors import ProcessError, nearest
from priorvae.processes import chebyshev
from priorvae.processes.base import Eigenbasis, Gaussian
from priorvae.processes.conditions import unit_vector
from priorvae.processes.roots import InterpolatedRoot

__all__ = [
    "SAMPLERS",
    "CholeskySampler",
    "EigenbasisSampler",
    "InterpolatedRootSampler",
    "Sampler",
    "build_sampler",
]

Hypers = Mapping[str, np.ndarray]
"""Each hyperparameter's values, one for each draw."""


class Sampler(Protocol):
    """Turns normals and hyperparameters into draws of one process."""

    @property
    def name(self) -> str:
        """As on the command line and in records."""
        ...

    @property
    def latent_dim(self) -> int:
        """Normals a draw consumes."""
        ...

    @property
    def error(self) -> float:
        """Largest relative Frobenius error of the root; zero up to rounding where it is exact."""
        ...

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Map `z (draw, latent)` to fields `(draw, area)`, float64."""
        ...


@final
@dataclass(frozen=True, eq=False)
class CholeskySampler:
    """One Cholesky factorisation a draw, `O(n^3)`: the oracle, and the rival to beat."""

    process: Gaussian
    name: str = "cholesky"
    error: float = 0.0

    @property
    def latent_dim(self) -> int:
        """One normal an area."""
        return len(self.process.areas)

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `chol(K(theta)) z` for each draw.

        Raises:
            ProcessError: The covariance is singular.
        """
        fields = np.empty((len(z), self.latent_dim))
        for index, latent in enumerate(z):
            values = {name: float(series[index]) for name, series in hyper.items()}
            try:
                fields[index] = np.linalg.cholesky(self.process.covariance(values)) @ latent
            except np.linalg.LinAlgError:
                raise ProcessError(
                    f"the covariance of {self.process.kind} is singular, and Cholesky needs a "
                    "positive definite one; use another sampler"
                ) from None
        return fields


@final
@dataclass(frozen=True, eq=False)
class InterpolatedRootSampler:
    """`sum_r c_r(theta) M_r z`: a few matrix products serve a whole block of draws."""

    process: Gaussian
    name: str = "interpolated-root"

    @cached_property
    def root(self) -> InterpolatedRoot:
        """The root over the hyperparameters' range."""
        return InterpolatedRoot.fit(self.process.root, self.process.conditions)

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
        # One wide product in place of one for each matrix.
        stacked = self.root.matrices.transpose(0, 2, 1).reshape(-1, self.root.matrices.shape[1])
        return (mix[:, :, None] * z[:, None, :]).reshape(len(z), -1) @ stacked


@final
@dataclass(frozen=True, eq=False)
class EigenbasisSampler:
    """`left (gate(theta) * right z)`: one decomposition serves every hyperparameter, exactly.

    Raises:
        ProcessError: The process has no decomposition that serves all its hyperparameters.
    """

    process: Gaussian
    name: str = "eigenbasis"
    error: float = 0.0

    def __post_init__(self) -> None:
        if self.process.eigenbasis is None:
            raise ProcessError(
                f"sampler `eigenbasis`: {self.process.kind} has eigenvectors that change with its "
                "hyperparameters; use `auto` or `interpolated-root`"
            )

    @property
    def _basis(self) -> Eigenbasis:
        assert self.process.eigenbasis is not None
        return self.process.eigenbasis

    @property
    def latent_dim(self) -> int:
        """Rank of the decomposition."""
        return self._basis.right.shape[0 if self._basis.orthonormal else 1]

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `left (gate(theta) * right z)`, without a `right` that only rotates `z`."""
        gates = self._basis.gate({name: values[:, None] for name, values in hyper.items()})
        inner = z if self._basis.orthonormal else z @ self._basis.right.T
        return (gates * inner) @ self._basis.left.T


SAMPLERS: dict[str, Callable[[Gaussian], Sampler]] = {
    "cholesky": CholeskySampler,
    "interpolated-root": InterpolatedRootSampler,
    "eigenbasis": EigenbasisSampler,
}


def build_sampler(process: Gaussian, name: str = "auto") -> Sampler:
    """Return the named sampler, or for `auto` the quickest that the process allows.

    Raises:
        ProcessError: The name is unknown, or that sampler cannot serve this process.
    """
    if name == "auto":
        name = "interpolated-root" if process.eigenbasis is None else "eigenbasis"
    if name not in SAMPLERS:
        raise ProcessError(
            f"unknown sampler {name!r}{nearest(name, SAMPLERS)}; known: auto, {', '.join(SAMPLERS)}"
        )
    return SAMPLERS[name](process)
