"""What a prior process is: one draw of one field over the areas of a map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from priorvae.areas.types import Areas
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax

__all__ = ["Eigenbasis", "Gaussian", "Hyper", "Process"]

Hyper = Mapping[str, Any]


@runtime_checkable
class Process(Protocol):
    """A prior over one value per area, given named hyperparameters.

    The outer scale is not part of a process: it belongs to the inference model.
    """

    kind: str
    areas: Areas
    conditions: tuple[Condition, ...]

    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(area,)`."""
        ...

    def sample_batch(self, key: jax.Array, hyper: Hyper, num_draws: int) -> jax.Array:
        """Draw fields that share the hyperparameters, shape `(draw, area)`."""
        ...


class Eigenbasis(NamedTuple):
    """One decomposition that serves every hyperparameter: `root = left diag(gate(theta)) right`."""

    left: np.ndarray
    """Shape `(area, rank)`, float64."""
    right: np.ndarray
    """Shape `(rank, latent)`, float64."""
    gate: Callable[[Hyper], Any]
    """Maps hyperparameters (numbers or traced arrays) to `(rank,)`."""
    orthonormal: bool = True
    """Whether the rows of `right` are orthonormal, so that `right z` is N(0, I) as `z` is."""


class Gaussian(ABC):
    """A zero-mean Gaussian process over areas, given by its covariance.

    Attributes:
        kind: Name of the process in configurations.
        areas: The map.
        conditions: Free hyperparameters, each with its range and hyperprior.
        fixed: Hyperparameters held constant.
        nugget: Variance added to the diagonal of the covariance for numerical stability.
    """

    kind: str
    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float

    @abstractmethod
    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the covariance `(area, area)`, nugget included, as a traceable JAX array."""

    @abstractmethod
    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return the covariance `(area, area)`, nugget included, in float64."""

    @abstractmethod
    def root(self, hyper: Hyper) -> np.ndarray:
        """Return `R` with `R R' = covariance`, smooth in the hyperparameters, in float64."""

    @property
    @abstractmethod
    def eigenbasis(self) -> Eigenbasis | None:
        """The decomposition shared by all hyperparameter values, if the process has one."""

    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(area,)`: `R z` with `z ~ N(0, I)`."""
        return self.sample_batch(key, hyper, 1)[0]

    def sample_batch(self, key: jax.Array, hyper: Hyper, num_draws: int) -> jax.Array:
        """Draw fields with one factorisation, shape `(draw, area)`, in the default float type."""
        import jax

        root = self.root(hyper)
        z = jax.random.normal(key, (num_draws, root.shape[1]))
        return z @ root.T.astype(z.dtype)

    def all_hyper(self, hyper: Hyper) -> dict[str, Any]:
        """Return the free hyperparameters given and the fixed ones together."""
        return {**self.fixed, **hyper}
