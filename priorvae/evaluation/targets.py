"""What a decoder is judged against: the process at given hyperparameters, or their mixture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import qmc

from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.conditions import Condition
from priorvae.processes.mixture import mixture_covariance

if TYPE_CHECKING:
    import jax

__all__ = [
    "Conditional",
    "Mixture",
    "Target",
    "build_target",
    "condition_grid",
    "generator",
    "split",
]

MIXTURE_POINTS = 64
"""Values of the hyperparameters among which a draw of the mixture chooses."""


def condition_grid(conditions: Sequence[Condition], num: int) -> list[dict[str, float]]:
    """Return the hyperparameters to judge at, spaced equally on each transformed scale.

    One condition has `num` values. Several have the full product of fewer levels, about 27 points
    in all; with only two levels each (the corners, where decoders fail first) the centre is added.
    Every category has all these points.
    """
    smooth = [condition for condition in conditions if not condition.labels]
    points = _smooth_grid(smooth, num)
    for condition in (c for c in conditions if c.labels):
        numbers = range(len(condition.labels))
        points = [{**point, condition.name: float(j)} for j in numbers for point in points]
    return points


def _smooth_grid(conditions: Sequence[Condition], num: int) -> list[dict[str, float]]:
    if not conditions:
        return [{}]
    levels = num if len(conditions) == 1 else max(2, int(27 ** (1 / len(conditions)) + 1e-9))
    names = [condition.name for condition in conditions]
    axes = [[float(v) for v in condition.grid(levels)] for condition in conditions]
    points = [dict(zip(names, values, strict=True)) for values in itertools.product(*axes)]
    if levels == 2:
        points.append({c.name: float(c.from_unit(0.0)) for c in conditions})
    return points


class Target(Protocol):
    """A distribution over fields with a known covariance."""

    gaussian: bool

    def covariance(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Return the covariance `(area, area)` in float64."""
        ...

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        """Draw independent fields `(draw, area)` in float64."""
        ...


def build_target(process: Process, mixture: bool) -> Target:
    """Return the process given its hyperparameters, or with them integrated out.

    Raises:
        ProcessError: The process has no covariance.
    """
    exact = require_gaussian(process, "the certificate")
    return Mixture(exact) if mixture else Conditional(exact)


class Conditional:
    """The process at given hyperparameters."""

    gaussian = True

    def __init__(self, process: Gaussian) -> None:
        self._process = process

    def covariance(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Return the process's covariance `(area, area)`."""
        return self._process.covariance(hyper)

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        """Draw fields `(draw, area)`."""
        return np.asarray(self._process.sample_batch(key, hyper, num_draws), dtype=np.float64)


class Mixture:
    """The process with its hyperparameters integrated out: no longer Gaussian."""

    gaussian = False

    def __init__(self, process: Gaussian) -> None:
        self._process = process
        self._covariance = mixture_covariance(process)
        unit = qmc.Sobol(len(process.conditions), scramble=False).random(MIXTURE_POINTS)
        points = unit + 0.5 / MIXTURE_POINTS
        columns = [c.quantile(points[:, i]).tolist() for i, c in enumerate(process.conditions)]
        names = [c.name for c in process.conditions]
        self._points = [
            dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
        ]

    def covariance(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Return the covariance averaged over the hyperprior; `hyper` is not looked at."""
        return self._covariance

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        """Draw fields, each at its own value among many that are spread over the hyperprior.

        The values are fixed, so that draws are independent although some share one.
        """
        rng = generator(key)
        counts = rng.multinomial(num_draws, np.full(MIXTURE_POINTS, 1 / MIXTURE_POINTS))
        groups = []
        for point, count in zip(self._points, counts, strict=True):
            root = self._process.root(point)
            groups.append(rng.standard_normal((count, root.shape[1])) @ root.T)
        return rng.permutation(np.concatenate(groups))


def split(key: jax.Array, num: int = 2) -> list[jax.Array]:
    """Return `num` independent keys."""
    import jax

    return list(jax.random.split(key, num))


def generator(key: jax.Array) -> np.random.Generator:
    """Return a NumPy generator seeded from a JAX key, typed or raw."""
    import jax
    import jax.numpy as jnp

    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key) if typed else key))
