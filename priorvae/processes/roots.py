"""Roots of covariances, and one object that holds the root for every hyperparameter value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from priorvae.processes import chebyshev
from priorvae.processes.conditions import Condition

__all__ = ["InterpolatedRoot", "symmetric_root"]

_DEGREES = (7, 11, 15, 23, 31, 47)


def symmetric_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric positive semi-definite root `K^1/2` by an eigendecomposition."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


@dataclass(frozen=True, eq=False)
class InterpolatedRoot:
    """`R(theta) = sum_r c_r(theta) M_r`, with `c_r` Chebyshev series in the unit conditions.

    The roots at the Chebyshev nodes are compressed by a singular value decomposition over theta:
    symmetric roots vary so smoothly that a handful of matrices hold them all.

    Attributes:
        degrees: Chebyshev degree in each condition.
        coefficients: Series of each `c_r`, shape `(basis, rank)`, float64.
        matrices: `M_r`, shape `(rank, area, latent)`, float64.
        error: Largest relative Frobenius error of the root at points between the nodes.
    """

    degrees: tuple[int, ...]
    coefficients: np.ndarray
    matrices: np.ndarray
    error: float

    def __call__(self, unit: Any) -> Any:
        """Evaluate the root at unit conditions `(cond,)`, shape `(area, latent)`; NumPy or JAX."""
        xp = unit.__array_namespace__()
        weights = chebyshev.features(unit, self.degrees) @ xp.asarray(
            self.coefficients, dtype=unit.dtype
        )
        return xp.tensordot(weights, xp.asarray(self.matrices, dtype=unit.dtype), axes=1)

    @classmethod
    def fit(
        cls,
        root: Callable[[dict[str, float]], np.ndarray],
        conditions: tuple[Condition, ...],
        tolerance: float = 1e-6,
    ) -> InterpolatedRoot:
        """Interpolate `root` over the conditions' range, with the lowest degree that suffices.

        Args:
            root: Maps named hyperparameters to a smooth root, float64.
            conditions: Free hyperparameters; with none, the one root is stored.
            tolerance: Relative Frobenius error of the root to reach, if the largest degree can.
        """
        fitted = None
        for degree in _DEGREES if conditions else (0,):
            degrees = (degree,) * len(conditions)
            fitted = cls._at_degrees(root, conditions, degrees, tolerance)
            if fitted.error <= tolerance:
                break
        assert fitted is not None
        return fitted

    @classmethod
    def _at_degrees(
        cls,
        root: Callable[[dict[str, float]], np.ndarray],
        conditions: tuple[Condition, ...],
        degrees: tuple[int, ...],
        tolerance: float,
    ) -> InterpolatedRoot:
        values = roots_at(root, conditions, chebyshev.nodes(degrees))
        flat = values.reshape(len(values), -1)
        spread, rotation = np.linalg.eigh(flat @ flat.T)
        # Squared singular values: keep what exceeds a tenth of the tolerance, relative to the norm.
        kept = spread > (0.1 * tolerance) ** 2 * spread[-1]
        matrices = (rotation[:, kept].T @ flat).reshape(-1, *values.shape[1:])
        series = chebyshev.interpolation_matrix(degrees) @ rotation[:, kept]
        fitted = cls(degrees, series, matrices, 0.0)
        between = _points_between(degrees)
        exact = roots_at(root, conditions, between)
        errors = [
            np.linalg.norm(fitted(unit) - true) / np.linalg.norm(true)
            for unit, true in zip(between, exact, strict=True)
        ]
        return cls(degrees, series, matrices, float(max(errors)))


def roots_at(
    root: Callable[[dict[str, float]], np.ndarray],
    conditions: tuple[Condition, ...],
    units: np.ndarray,
) -> np.ndarray:
    """Evaluate `root` at unit conditions `(point, cond)`, shape `(point, area, latent)`."""
    return np.stack(
        [
            root({c.name: float(c.from_unit(u)) for c, u in zip(conditions, unit, strict=True)})
            for unit in units
        ]
    )


def _points_between(degrees: tuple[int, ...]) -> np.ndarray:
    """Points where the interpolation error is large: both ends and a few between the nodes."""
    axis = np.array([-1.0, -0.97, -0.4, 0.1, 0.8, 1.0])
    grid = np.meshgrid(*[axis] * len(degrees), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, len(degrees)) if degrees else np.zeros((1, 0))
