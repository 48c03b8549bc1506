"""Chebyshev polynomials on [-1, 1]^d: how smooth functions of the conditions are stored."""

import math
from typing import Any

import numpy as np

__all__ = ["features", "interpolation_matrix", "nodes", "size"]


def features(unit: Any, degrees: tuple[int, ...]) -> Any:
    """Evaluate the tensor-product Chebyshev basis at one point, or at many.

    `T_a(u_1) T_b(u_2) ...` for all `a <= degrees[0], b <= degrees[1], ...`, the last index running
    fastest, by the recurrence `T_{k+1}(u) = 2 u T_k(u) - T_{k-1}(u)`, whose gradient is finite at
    the ends of the interval (that of `cos(k arccos u)` is not).

    Args:
        unit: Point in [-1, 1]^d, shape `(cond,)`, or points `(cond, point)`; NumPy or JAX.
        degrees: Highest degree of each coordinate.

    Returns:
        Basis values, shape `(prod(degrees + 1),)` or `(prod(degrees + 1), point)`.
    """
    xp = unit.__array_namespace__()
    many = unit.shape[1:]
    basis = xp.ones((1, *many), dtype=unit.dtype)
    for axis, degree in enumerate(degrees):
        u = unit[axis]
        terms = [xp.ones_like(u), u]
        for _ in range(degree - 1):
            terms.append(2 * u * terms[-1] - terms[-2])
        values = xp.stack(terms[: degree + 1])
        basis = (basis[:, None] * values[None, :]).reshape(-1, *many)
    return basis


def size(degrees: tuple[int, ...]) -> int:
    """Return the number of functions in the basis."""
    return math.prod(degree + 1 for degree in degrees)


def nodes(degrees: tuple[int, ...]) -> np.ndarray:
    """Return the tensor grid of Chebyshev nodes of the first kind, shape `(node, cond)`."""
    if not degrees:
        return np.zeros((1, 0))
    axes = [np.cos(np.pi * (np.arange(k + 1) + 0.5) / (k + 1)) for k in degrees]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(degrees))


def interpolation_matrix(degrees: tuple[int, ...]) -> np.ndarray:
    """Return the matrix that maps values at `nodes` to Chebyshev coefficients, `(basis, node)`."""
    return np.linalg.inv(np.stack([features(u, degrees) for u in nodes(degrees)]))
