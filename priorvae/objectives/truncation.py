"""How many latents a Gaussian process needs for a certificate: its spectrum decides.

With `R(theta)` a root and `V` the directions of z that carry the most variance on average, a
decoder of d latents can be `R V_d`. It leaves out `B_-`, the columns of `B = R V` but the first d:
the error of the covariance is the norm of `B_- B_-'`, that of a marginal variance the sum of
squares of a row, and a bound on the Wasserstein distance the sum of all squares.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from priorvae.config import CertificateConfig
from priorvae.processes.base import Gaussian
from priorvae.processes.conditions import Condition

__all__ = ["Latents", "latents_needed"]

SHARE = 0.5
"""Of each threshold that leaving latents out may use up; the rest is for training."""

LARGEST_THOROUGH = 700
"""Values of a field up to which seven hyperparameter values are looked at, else three."""


class Latents(NamedTuple):
    """A number of latents, and where it is needed."""

    number: int
    """Least number that leaves the certificate's figures within half of their thresholds."""
    hyper: dict[str, float]
    """Hyperparameters that ask for it."""


def latents_needed(process: Gaussian, thresholds: CertificateConfig) -> Latents:
    """Return the latents that a decoder of a process needs, at most its root's columns.

    Args:
        process: The process.
        thresholds: What the decoder must reach. Importance weights are defined for a decoder of
            full rank only, so that a bound on them asks for every latent.
    """
    points = _points(process)
    roots = [process.root(hyper) for hyper in points]
    columns = roots[0].shape[1]
    if thresholds.importance_fraction is not None:
        return Latents(columns, points[0])
    directions = _directions(roots)
    needed = [_needed(root @ directions, thresholds) for root in roots]
    worst = int(np.argmax(needed))
    return Latents(needed[worst], points[worst])


def _points(process: Gaussian) -> list[dict[str, float]]:
    """Return hyperparameters to look at: a line, or ends and middles of several."""
    conditions = process.conditions
    if not conditions:
        return [{}]
    thorough = process.size <= LARGEST_THOROUGH and len(conditions) == 1
    axes = [_values(c, 7 if thorough else 3) for c in conditions]
    names = [c.name for c in conditions]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*axes)]


def _values(condition: Condition, num: int) -> list[float]:
    num = len(condition.labels) or num
    return [float(value) for value in condition.grid(num)]


def _directions(roots: list[np.ndarray]) -> np.ndarray:
    """Return the rotation of z to directions of less and less variance on average."""
    _, vectors = np.linalg.eigh(sum(root.T @ root for root in roots))
    return vectors[:, ::-1]


def _needed(rotated: np.ndarray, thresholds: CertificateConfig) -> int:
    """Return the least number of leading columns that will do at one value."""
    lost = _lost_sds(rotated)
    within = [
        _covariance_errors(rotated) <= SHARE * thresholds.covariance_error,
        lost.max(axis=0) <= SHARE * thresholds.worst_sd,
        lost.mean(axis=0) <= SHARE * thresholds.mean_sd,
        _lost_variance(rotated) <= SHARE * thresholds.bures_wasserstein,
    ]
    return int(np.argmax(np.all(within, axis=0))) + 1  # nothing is lost with all of them


def _covariance_errors(rotated: np.ndarray) -> np.ndarray:
    """Return `||K - B_d B_d'|| / ||K||` for every d from 1 on.

    `||B_- B_-'||^2` is the sum of squares of the Gram matrix of the columns left out: of a trailing
    block, and so a cumulative sum from the corner.
    """
    squares = (rotated.T @ rotated) ** 2
    trailing = squares[::-1, ::-1].cumsum(axis=0).cumsum(axis=1).diagonal()[::-1]
    return np.sqrt(np.append(trailing[1:], 0.0) / trailing[0])


def _lost_sds(rotated: np.ndarray) -> np.ndarray:
    """Return by how much of itself each area's sd is too small, `(area, d)`."""
    kept = np.cumsum(rotated**2, axis=1)
    return 1 - np.sqrt(kept / kept[:, -1:])


def _lost_variance(rotated: np.ndarray) -> np.ndarray:
    """Return `||R - B_d V_d'||^2 / ||R||^2`, a bound on the squared distance over the trace."""
    kept = np.cumsum(np.sum(rotated**2, axis=0))
    return 1 - kept / kept[-1]
