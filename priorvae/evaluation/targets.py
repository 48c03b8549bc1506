"""What a decoder is judged against: the process at given hyperparameters, or their mixture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import qmc

from priorvae.errors import ProcessError, preview
from priorvae.evaluation.moments import Moments
from priorvae.processes.base import Gaussian, Implicit, Process
from priorvae.processes.conditions import Condition
from priorvae.processes.finite import in_words
from priorvae.processes.mixture import mixture_covariance
from priorvae.processes.samplers import build_sampler
from priorvae.processes.simulate import block_size, draw_block

if TYPE_CHECKING:
    import jax

__all__ = [
    "Conditional",
    "Mixture",
    "Simulated",
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
    """A distribution over fields."""

    gaussian: bool

    def moments(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> Moments:
        """Return mean and covariance: analytic where that is possible, else from draws."""
        ...

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        """Draw independent fields `(draw, area)` in float64."""
        ...


def build_target(process: Process, mixture: bool) -> Target:
    """Return the process given its hyperparameters, or with them integrated out."""
    if isinstance(process, Gaussian):
        return Mixture(process) if mixture else Conditional(process)
    assert isinstance(process, Implicit)
    return Simulated(process, mixture)


class Conditional:
    """The process at given hyperparameters."""

    gaussian = True

    def __init__(self, process: Gaussian) -> None:
        self._process = process

    def moments(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> Moments:
        """Return the process's covariance; nothing is drawn."""
        return Moments.exact(self._process.covariance(hyper))

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

    def moments(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> Moments:
        """Return the covariance averaged over the hyperprior; `hyper` is not looked at."""
        return Moments.exact(self._covariance)

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


class Simulated:
    """A process known by its draws alone, given its hyperparameters or with them integrated out."""

    gaussian = False

    def __init__(self, process: Implicit, mixture: bool) -> None:
        self._process = process
        self._sampler = build_sampler(process)
        self._mixture = mixture

    def moments(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> Moments:
        """Estimate mean and covariance from draws.

        Raises:
            ProcessError: A value of the field is the same in every draw.
        """
        found = Moments.of(self.sample(key, hyper, num_draws))
        constant = np.flatnonzero(np.diag(found.covariance) <= 0)
        if len(constant) > 0:
            raise ProcessError(
                f"{self._process.kind}: {preview(self._process.sites[i] for i in constant)} had "
                f"one and the same value in {num_draws} draws, with {in_words(hyper)}; no decoder "
                "can be judged there: narrow the range, or leave such areas out of the map"
            )
        return found

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        """Draw fields; in a mixture each with hyperparameters of its own from the hyperprior."""
        size = block_size(self._process)
        sizes = [min(size, num_draws - start) for start in range(0, num_draws, size)]
        if self._process.traceable:
            sizes = [size] * len(sizes)  # to compile another length takes longer than to draw it
        keys = split(key, len(sizes))
        blocks = [self._block(k, hyper, n) for k, n in zip(keys, sizes, strict=True)]
        return np.concatenate(blocks)[:num_draws]

    def _block(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        if self._mixture:
            return draw_block(key, self._process, self._sampler, num_draws).fields
        columns = {name: np.full(num_draws, value) for name, value in hyper.items()}
        return self._sampler.sample(key, columns, num_draws)


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
