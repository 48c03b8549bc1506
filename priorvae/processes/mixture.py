"""The process with its hyperparameters integrated out: what a PriorVAE stands for."""

from __future__ import annotations

import itertools

import numpy as np

from priorvae.processes.base import Gaussian
from priorvae.processes.conditions import Condition

__all__ = ["mixture_covariance", "quadrature"]


def quadrature(process: Gaussian, num: int = 24) -> list[tuple[float, dict[str, float]]]:
    """Return weighted hyperparameters that integrate over the hyperprior.

    Gauss-Legendre nodes in the hyperprior's probabilities, `num` for each condition, or every
    category; the weights sum to one.
    """
    axes = [_axis(condition, num) for condition in process.conditions]
    return [
        (
            float(np.prod([weight for weight, _ in point])),
            {c.name: float(v) for c, (_, v) in zip(process.conditions, point, strict=True)},
        )
        for point in itertools.product(*axes)
    ]


def _axis(condition: Condition, num: int) -> list[tuple[float, float]]:
    """Return weights and values of one condition."""
    if condition.labels:
        each = 1 / len(condition.labels)
        return [(each, float(number)) for number in range(len(condition.labels))]
    x, w = np.polynomial.legendre.leggauss(num)
    return list(zip(w / 2, condition.quantile((x + 1) / 2), strict=True))


def mixture_covariance(process: Gaussian, num: int = 24) -> np.ndarray:
    """Return `E_theta[K(theta)]` over the hyperprior, shape `(area, area)`, float64."""
    n = process.size
    total = np.zeros((n, n))
    for weight, hyper in quadrature(process, num):
        total += weight * process.covariance(hyper)
    return total
