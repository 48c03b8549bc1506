"""Roots of covariances, and one object that holds the root for every hyperparameter value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import qmc

from priorvae.errors import ProcessError
from priorvae.processes import chebyshev
from priorvae.processes.conditions import Condition

__all__ = ["InterpolatedRoot", "cholesky_root", "symmetric_root"]

Root = Callable[[dict[str, float]], np.ndarray]

SMALL = 300
"""Values up to which a root costs little, and low degrees are tried first."""

_DEGREES = (3, 5, 7, 11, 15, 23, 31, 47)
_MOST_BYTES = 3e9
_WORST_ERROR = 1e-3


def symmetric_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric positive semi-definite root `K^1/2` by an eigendecomposition."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def cholesky_root(covariance: np.ndarray) -> np.ndarray:
    """Return the lower triangular `L` with `L L' = K`.

    Raises:
        ProcessError: The covariance is singular.
    """
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ProcessError(
            "the covariance is singular, so that it has no Cholesky factor: use "
            "`model.root: symmetric`, or add a nugget"
        ) from None


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
        root: Root,
        conditions: tuple[Condition, ...],
        tolerance: float = 1e-6,
        lowest_degree: int = 3,
    ) -> InterpolatedRoot:
        """Interpolate `root` over the conditions' range, with the lowest degrees that suffice.

        The degree of each condition is found on its own, along lines on which the others stay at
        an end or in the middle of their ranges; then all are raised until the whole box is met. A
        category's is known: one less than there are categories.

        Args:
            root: Maps named hyperparameters to a smooth root, float64.
            conditions: Free hyperparameters; with none, the one root is stored.
            tolerance: Relative Frobenius error of the root to reach, if the largest degree can.
            lowest_degree: Of one condition. Where a root is costly, trying degrees that will not
                do costs more than a few terms too many.

        Raises:
            ProcessError: The root varies too fast to be interpolated, or the roots at the nodes of
                several conditions do not fit in memory.
        """
        target, ladder = _plan(root, conditions, tolerance, lowest_degree)
        for degrees in ladder:
            between = _points_between(degrees, conditions)
            exact = roots_at(root, conditions, between)
            _check_size(degrees, conditions, exact[0].nbytes)
            fitted = cls._at_degrees(root, conditions, degrees, tolerance)
            error = fitted._error_at(between, exact)
            if error <= target:
                break
        _check_error(error, conditions)
        return replace(fitted, error=error)

    @classmethod
    def economical(
        cls,
        root: Root,
        conditions: tuple[Condition, ...],
        size: int,
        tolerance: float = 1e-6,
    ) -> InterpolatedRoot:
        """Interpolate the root of a field of `size` values: of many, to 1e-5 and in one go.

        There a root takes seconds, and trying degrees that will not do costs more than a few terms
        too many. Arguments and errors as of `fit`.
        """
        if size <= SMALL:
            return cls.fit(root, conditions, tolerance)
        return cls.fit(root, conditions, max(tolerance, 1e-5), lowest_degree=15)

    @classmethod
    def _at_degrees(
        cls,
        root: Root,
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
        return cls(degrees, series, matrices, float("nan"))

    def _error_at(self, units: np.ndarray, exact: np.ndarray) -> float:
        """Return the largest relative Frobenius error at unit conditions `(point, cond)`."""
        errors = [
            np.linalg.norm(self(unit) - true) / np.linalg.norm(true)
            for unit, true in zip(units, exact, strict=True)
        ]
        return float(max(errors))


def roots_at(
    root: Root,
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


def _plan(
    root: Root, conditions: tuple[Condition, ...], tolerance: float, lowest_degree: int
) -> tuple[float, list[tuple[int, ...]]]:
    """Return the error to reach and the degrees to try for it, lowest first."""
    smooth = [axis for axis, c in enumerate(conditions) if not c.labels]
    if not smooth:
        return tolerance, [_degrees(conditions, ())]
    if len(smooth) == 1:
        tried = [degree for degree in _DEGREES if degree >= lowest_degree]
        return tolerance, [_degrees(conditions, (degree,)) for degree in tried]
    lines = [_hardest_line(root, conditions, axis, tolerance) for axis in smooth]
    rungs = [_DEGREES.index(line.degrees[0]) for line in lines]
    last = len(_DEGREES) - 1
    # What the largest degree does not reach on a line, no degrees reach in the box.
    target = max(tolerance, *(2 * line.error for line in lines if line.error > tolerance), 0.0)
    ups = range(last - min(rungs) + 1)
    raised = [[_DEGREES[min(rung + up, last)] for rung in rungs] for up in ups]
    return target, [_degrees(conditions, smooth_degrees) for smooth_degrees in raised]


def _degrees(conditions: tuple[Condition, ...], smooth: Iterable[int]) -> tuple[int, ...]:
    """Return every condition's degree, given those of the conditions that are no categories."""
    others = iter(smooth)
    return tuple(len(c.labels) - 1 if c.labels else next(others) for c in conditions)


def _hardest_line(
    root: Root, conditions: tuple[Condition, ...], axis: int, tolerance: float
) -> InterpolatedRoot:
    """Interpolate in one condition, the others held at ends and middles; return the worst."""
    condition, others = conditions[axis], conditions[:axis] + conditions[axis + 1 :]
    lines = []
    for held in itertools.product(*(_ends_and_middle(c) for c in others)):
        values = {c.name: float(c.from_unit(u)) for c, u in zip(others, held, strict=True)}
        along = partial(_at, root, values)
        lines.append(InterpolatedRoot.fit(along, (condition,), tolerance))
    return max(lines, key=lambda line: (line.degrees, line.error))


def _ends_and_middle(condition: Condition) -> list[float]:
    """Unit positions to hold a condition at: every category where it has them."""
    if condition.labels:
        return [float(condition.to_unit(number)) for number in range(len(condition.labels))]
    return [-1.0, 0.0, 1.0]


def _at(root: Root, held: dict[str, float], hyper: dict[str, float]) -> np.ndarray:
    return root({**held, **hyper})


def _check_error(error: float, conditions: tuple[Condition, ...]) -> None:
    """Refuse what would no longer be the process."""
    if error > _WORST_ERROR:
        smooth = [c for c in conditions if not c.labels]
        names = " and ".join(f"{c.name} in [{c.low:.4g}, {c.high:.4g}]" for c in smooth)
        raise ProcessError(
            f"the covariance changes too fast over {names} to be interpolated (relative error "
            f"{error:.2g} of its root, at most {_WORST_ERROR:g} is allowed); narrow the range, or "
            "hold a hyperparameter constant"
        )


def _check_size(
    degrees: tuple[int, ...], conditions: tuple[Condition, ...], bytes_each: int
) -> None:
    num = math.prod(k + 1 for k in degrees)
    if len(degrees) > 1 and num * bytes_each > _MOST_BYTES:
        names = ", ".join(c.name for c in conditions)
        raise ProcessError(
            f"the root needs {num} nodes over {names}, {num * bytes_each / 1e9:.1f} GB; narrow a "
            "range, or hold a hyperparameter constant"
        )


def _points_between(degrees: tuple[int, ...], conditions: tuple[Condition, ...]) -> np.ndarray:
    """Points where the interpolation error is large: extremes of the first polynomial left out.

    Between categories there is nothing: they stay at their nodes.
    """
    axes = []
    for degree, condition in zip(degrees, conditions, strict=True):
        k = degree + 1
        extremes = np.cos(np.pi * np.unique([0, k // 4, k // 2, 3 * k // 4, k]) / k)
        axes.append(np.array(_ends_and_middle(condition)) if condition.labels else extremes)
    if len(degrees) <= 2:
        return np.array(list(itertools.product(*axes)))
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=len(degrees))))
    inside = qmc.Sobol(len(degrees), scramble=False).random(32)
    points = np.concatenate([corners, 2 * inside - 1])
    for column, condition in zip(points.T, conditions, strict=True):
        if condition.labels:
            column[:] = condition.to_unit(condition.quantile((column + 1) / 2))
    return points
