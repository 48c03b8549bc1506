"""A Gaussian process on the areas' centroids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy.spatial.distance import cdist

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes.base import Gaussian, Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.kernels import KERNELS
from priorvae.processes.roots import symmetric_root

if TYPE_CHECKING:
    import jax

__all__ = ["GP"]


@final
@dataclass(frozen=True, eq=False)
class GP(Gaussian):
    """`f ~ N(0, k(d / lengthscale) + nugget I)` with unit-variance kernel `k` of distance in km.

    Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 4.2.

    Raises:
        ProcessError: The map has no centroids, or two areas share one.
    """

    areas: Areas
    kernel: str
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 1e-6
    kind: str = "gp"

    def __post_init__(self) -> None:
        if self.areas.centroids is None:
            raise ProcessError(
                f"a gp needs centroids, and {self.areas.provenance.source} is an adjacency alone; "
                "use a CAR process, or a boundary file"
            )
        apart = self.distances[np.triu_indices(len(self.areas), 1)]
        if not apart.all():
            raise ProcessError(
                f"two areas of {self.areas.provenance.source} have the same centroid, so their gp "
                "values would be equal; merge them or move one"
            )

    @cached_property
    def distances(self) -> np.ndarray:
        """Distances between centroids in km, `(area, area)`."""
        return cdist(self.areas.centroids, self.areas.centroids)

    @property
    def eigenbasis(self) -> None:
        """None: a kernel's eigenvectors turn with the lengthscale."""

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `k(d / lengthscale) + nugget I` in float64."""
        return self._covariance(self.distances, hyper, np)

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        return self._covariance(jnp.asarray(self.distances), hyper, jnp)

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return the symmetric root, which unlike Cholesky's is smooth in the lengthscale."""
        return symmetric_root(self.covariance(hyper))

    def _covariance(self, distances: Any, hyper: Hyper, xp: Any) -> Any:
        scaled = distances / self.all_hyper(hyper)["lengthscale"]
        return KERNELS[self.kernel](scaled) + self.nugget * xp.eye(len(distances))
