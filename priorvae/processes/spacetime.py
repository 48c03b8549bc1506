"""Processes in time, which carry any spatial process from one time to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.config import AR1Config, SpaceTimeConfig, SpatialConfig
from priorvae.errors import ProcessError
from priorvae.processes.base import Gaussian, Hyper, Layers
from priorvae.processes.conditions import Condition
from priorvae.processes.gneiting import Gneiting
from priorvae.processes.hypers import separate
from priorvae.processes.mixing import Mixing, Terms, array_module
from priorvae.processes.stacked import Stacked

__all__ = ["AR1", "RandomWalk", "build_space_time"]


def build_space_time(
    config: SpaceTimeConfig,
    areas: Areas,
    spatial: Callable[[SpatialConfig, Areas], Gaussian],
) -> Gaussian:
    """Build a separable space-time process, or Gneiting's, lengths in km.

    Args:
        config: Its configuration.
        areas: The map.
        spatial: Builds the process on one map.

    Raises:
        ProcessError: The spatial process cannot live on this map.
    """
    layers = Layers("time", config.labels)
    if config.joint is not None:
        hypers = {name: getattr(config.joint, name) for name in Gneiting.hyper_names}
        constants = {name: getattr(config.joint, name) for name in Gneiting.constants}
        return Gneiting(areas, layers, config.instants, *separate(hypers), **constants)
    assert config.spatial is not None and config.temporal is not None
    mixing: Mixing
    if isinstance(config.temporal, AR1Config):
        mixing = AR1(len(config.instants), *separate({"phi": config.temporal.phi}, "asin"))
    else:
        mixing = RandomWalk(len(config.instants), order=int(config.temporal.kind[-1]))
    return Stacked("space-time", layers, mixing, (spatial(config.spatial, areas),))


@final
@dataclass(frozen=True, eq=False)
class AR1(Mixing):
    """A stationary autoregression, `f[t] = phi f[t-1] + sqrt(1 - phi^2) u_t`, of unit variance.

    `f[1] = u_1`, so `M[t, s] = phi^(t-s) (1 - phi^2)^1/2`, without the root for the first field.
    In `arcsin(phi)`, the scale that a decoder sees, it is analytic up to phi = -1 and 1.

    Source: Rue and Held (2005), Gaussian Markov Random Fields, section 1.1.

    Attributes:
        num: Number of times.
    """

    num: int
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]

    @property
    def owners(self) -> tuple[int, ...]:
        """One field a time."""
        return (0,) * self.num

    def matrix(self, hyper: Hyper) -> Any:
        """Return the lower triangular root of `phi^|t-s|`."""
        phi = self.all_hyper(hyper)["phi"]
        xp = array_module(phi)
        phi = xp.asarray(phi)[..., None]
        lag = np.subtract.outer(np.arange(self.num), np.arange(self.num))
        news = xp.where(np.arange(self.num) == 0, 1.0, xp.sqrt(1 - phi**2))
        return xp.where(lag >= 0, phi ** np.maximum(lag, 0), 0.0) * news

    @cached_property
    def terms(self) -> Terms:
        """Harmonics: eigenvectors of a circle of `2 (num - 1)` times, half of which are ours.

        Going round a circle of 2m times, m steps apart at most, the covariance
        `phi^min(lag, 2m - lag)` is circulant, with eigenvalues

            (1 - phi^2) (1 - (-1)^k phi^m) / (1 - 2 phi cos(pi k / m) + phi^2),  k < 2m,

        none of them negative; its eigenvectors, sines and cosines, do not depend on phi.

        Source: Dietrich and Newsam (1997), SIAM Journal on Scientific Computing 18, section 2.
        """
        m = self.num - 1
        order = np.r_[np.arange(m + 1), np.arange(1, m)]
        angle = np.pi * order / m
        around = np.outer(np.arange(self.num), angle)
        waves = np.concatenate([np.cos(around[:, : m + 1]), np.sin(around[:, m + 1 :])], axis=1)
        left = waves * np.sqrt(np.where((order == 0) | (order == m), 0.5, 1.0) / m)

        def gate(hyper: Hyper) -> Any:
            phi = self.all_hyper(hyper)["phi"]
            xp = array_module(phi)
            phi = xp.asarray(phi)
            phi = phi[None] if phi.ndim == 0 else phi
            # As a sum of squares, the denominator is positive whatever the rounding.
            apart = (phi - np.cos(angle)) ** 2 + np.sin(angle) ** 2
            return xp.sqrt((1 - phi**2) * (1 - (-1.0) ** order * phi**m) / apart)

        fields = tuple(range(2 * m))
        return Terms(left, gate, fields, (0,) * len(fields))


@final
@dataclass(frozen=True, eq=False)
class RandomWalk(Mixing):
    """An intrinsic random walk: independent increments of order 1 or 2, scaled.

    With `D` the differences of that order, the precision is `D' D`, and its null space (constants;
    for order 2 straight lines too) is left out: every area's values sum to zero in time. The
    variances `diag((D' D)^+)` are divided by their geometric mean.

    Source: Rue and Held (2005), Gaussian Markov Random Fields, sections 3.3.1 and 3.4.1; for the
    scale Sorbye and Rue (2014), Spatial Statistics 8.

    Attributes:
        num: Number of times.
        order: 1 or 2.

    Raises:
        ProcessError: There are no more times than the order.
    """

    num: int
    order: int
    conditions: tuple[Condition, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num <= self.order:
            raise ProcessError(
                f"a random walk of order {self.order} needs at least {self.order + 1} times, got "
                f"{self.num}"
            )

    @property
    def owners(self) -> tuple[int, ...]:
        """One field an increment."""
        return (0,) * (self.num - self.order)

    def matrix(self, hyper: Hyper) -> np.ndarray:
        """Return `V S^-1`, scaled, with `D = U S V'`: `(num, num - order)`."""
        return self._root

    @property
    def terms(self) -> Terms:
        """The same matrix: there is no hyperparameter."""
        num = self.num - self.order
        return Terms(self._root, lambda hyper: np.ones(num), tuple(range(num)), (0,) * num)

    @cached_property
    def _root(self) -> np.ndarray:
        # Singular values of D keep the digits that eigenvalues of D'D, their squares, lose.
        differences = np.diff(np.eye(self.num), self.order, axis=0)
        _, values, vectors = np.linalg.svd(differences, full_matrices=False)
        root = vectors.T / values
        return root / np.exp(np.log((root**2).sum(axis=1)).mean() / 2)
