"""What a prior process is: one draw of one field over the areas of a map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax

__all__ = ["Eigenbasis", "Gaussian", "Hyper", "Implicit", "Layers", "Process", "require_gaussian"]

Hyper = Mapping[str, Any]


class Layers(NamedTuple):
    """What a process stacks on the map: times, or outcomes."""

    name: str
    """`time` or `outcome`."""
    labels: tuple[str, ...]
    """One for each layer, in the order of a field."""


class Process(ABC):
    """A prior over fields on a map, given named hyperparameters.

    A field has one value an area; with layers, one an area in each layer, layer after layer. The
    outer scale is not part of a process: it belongs to the inference model.

    Attributes:
        kind: Name of the process in configurations.
        areas: The map.
        conditions: Free hyperparameters, each with its range and hyperprior.
        fixed: Hyperparameters held constant.
        nugget: Variance added to the diagonal of a covariance for numerical stability.
        layers: What is stacked on the map, or None.
    """

    kind: str
    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    layers: Layers | None = None

    @abstractmethod
    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(size,)`."""

    @abstractmethod
    def sample_batch(self, key: jax.Array, hyper: Hyper, num_draws: int) -> jax.Array:
        """Draw fields that share the hyperparameters, shape `(draw, size)`."""

    @property
    def num_layers(self) -> int:
        """Number of layers; 1 where none are stacked."""
        return 1 if self.layers is None else len(self.layers.labels)

    @property
    def size(self) -> int:
        """Length of a field."""
        return self.num_layers * len(self.areas)

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of a field: the area's id, or `layer/id`."""
        if self.layers is None:
            return self.areas.ids
        return tuple(f"{label}/{area}" for label in self.layers.labels for area in self.areas.ids)

    @property
    def edges(self) -> np.ndarray:
        """Positions of neighbours within each layer, `(edge, 2)`."""
        starts = len(self.areas) * np.arange(self.num_layers)
        return (self.areas.edges[None] + starts[:, None, None]).reshape(-1, 2)

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Numbers beyond map and hyperparameters that the process is made of; mostly none."""
        return {}

    def all_hyper(self, hyper: Hyper) -> dict[str, Any]:
        """Return the free hyperparameters given and the fixed ones together."""
        return {**self.fixed, **hyper}


class Eigenbasis(NamedTuple):
    """One decomposition that serves every hyperparameter: `root = left diag(gate(theta)) right`."""

    left: np.ndarray
    """Shape `(size, rank)`, float64."""
    right: np.ndarray
    """Shape `(rank, latent)`, float64."""
    gate: Callable[[Hyper], Any]
    """Maps hyperparameters (numbers or traced arrays) to `(rank,)`."""
    orthonormal: bool = True
    """Whether the rows of `right` are orthonormal, so that `right z` is N(0, I) as `z` is."""


class Gaussian(Process):
    """A zero-mean Gaussian process, given by its covariance."""

    @abstractmethod
    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the covariance `(size, size)`, nugget included, as a traceable JAX array."""

    @abstractmethod
    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return the covariance `(size, size)`, nugget included, in float64."""

    @abstractmethod
    def root(self, hyper: Hyper) -> np.ndarray:
        """Return `R` with `R R' = covariance`, smooth in the hyperparameters, in float64."""

    @property
    @abstractmethod
    def eigenbasis(self) -> Eigenbasis | None:
        """The decomposition shared by all hyperparameter values, if the process has one."""

    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(size,)`: `R z` with `z ~ N(0, I)`."""
        return self.sample_batch(key, hyper, 1)[0]

    def sample_batch(self, key: jax.Array, hyper: Hyper, num_draws: int) -> jax.Array:
        """Draw fields with one factorisation, shape `(draw, size)`, in the default float type."""
        import jax

        root = self.root(hyper)
        z = jax.random.normal(key, (num_draws, root.shape[1]))
        return z @ root.T.astype(z.dtype)


class Implicit(Process):
    """A process known by its draws alone: not Gaussian, or not known to be.

    `sample` is written for one draw. It can be traced by JAX where `traceable` says so.
    """

    @property
    def traceable(self) -> bool:
        """Whether JAX can trace `sample`, to compile it and to vectorise it."""
        return True

    def sample_batch(self, key: jax.Array, hyper: Hyper, num_draws: int) -> jax.Array:
        """Draw fields that share the hyperparameters, shape `(draw, size)`."""
        import jax
        import jax.numpy as jnp

        keys = jax.random.split(key, num_draws)
        if not self.traceable:
            return jnp.stack([self.sample(one, hyper) for one in keys])
        return jax.vmap(lambda one: self.sample(one, hyper))(keys)


def require_gaussian(process: Process, purpose: str) -> Gaussian:
    """Return a process that has a covariance, or refuse it.

    Raises:
        ProcessError: The process is known by its draws alone; `purpose` says what needs more.
    """
    if not isinstance(process, Gaussian):
        raise ProcessError(
            f"{purpose} needs a Gaussian process, and {process.kind} is known by its draws alone"
        )
    return process
