"""The process with its hyperparameters integrated out: what a PriorVAE stands for."""

from __future__ import annotations

import itertools

import numpy as np

from priorvae.processes.base import Gaussian

__all__ = ["mixture_covariance", "quadrature"]


def quadrature(process: Gaussian, num: int = 24) -> list[tuple[float, dict[str, float]]]:
    """Return weighted hyperparameters that integrate over the hyperprior.

    Gauss-Legendre nodes in the hyperprior's probabilities, `num` for each condition; the weights
    sum to one.
    """
    x, w = np.polynomial.legendre.leggauss(num)
    axes = [list(zip(w / 2, c.quantile((x + 1) / 2), strict=True)) for c in process.conditions]
    return [
        (
            float(np.prod([weight for weight, _ in point])),
            {c.name: float(v) for c, (_, v) in zip(process.conditions, point, strict=True)},
        )
        for point in itertools.product(*axes)
    ]


def mixture_covariance(process: Gaussian, num: int = 24) -> np.ndarray:
    """Return `E_theta[K(theta)]` over the hyperprior, shape `(area, area)`, float64."""
    n = process.size
    total = np.zeros((n, n))
    for weight, hyper in quadrature(process, num):
        total += weight * process.covariance(hyper)
    return total
