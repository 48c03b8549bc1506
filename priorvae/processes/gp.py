"""A Gaussian process on the areas' centroids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy.spatial.distance import cdist

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError, nearest
from priorvae.processes.base import Gaussian, Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.kernels import (
    KERNELS,
    Separation,
    kernel_names,
    stretched,
    unit_covariance,
)
from priorvae.processes.roots import symmetric_root
from priorvae.processes.sphere import (
    chordal_distances,
    great_circle_distances,
    longitude_latitude,
)

if TYPE_CHECKING:
    import jax

__all__ = ["GP", "VALID"]

VALID = {
    "euclidean": tuple(KERNELS),
    # Straight lines in space: whatever is positive definite there is so on the sphere in it.
    "chordal": tuple(name for name in KERNELS if name != "periodic"),
    # Gneiting (2013), table 1: of the Matern family only smoothness up to 1/2, of the generalised
    # Cauchy family, which holds the rational quadratic, only exponents up to 1.
    "great-circle": ("matern12",),
}
"""Kernels that are positive definite for every lengthscale, by distance."""


@final
@dataclass(frozen=True, eq=False)
class GP(Gaussian):
    """`f ~ N(0, k(s_i, s_j) + nugget I)` with a unit-variance kernel `k` of the centroids.

    Hyperparameters are those of the kernel (`lengthscale`, `shape`, `period`), numbered where it is
    a sum or product, the `weight_i` of a sum, and `ratio` and `angle` where it is anisotropic.

    Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 4.2;
    Gneiting (2013), Strictly and non-strictly positive definite functions on spheres, Bernoulli 19.

    Attributes:
        kernel: A kernel's name, or several joined by `+`, by `*`, or by `|`: then `kernel` is a
            hyperparameter that chooses among them.
        distance: `euclidean` on the projected map; `great-circle` or `chordal` on the sphere.

    Raises:
        ProcessError: The map has no centroids, two areas share one, or the kernel is unknown or
            not positive definite with this distance.
    """

    areas: Areas
    kernel: str
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 1e-6
    distance: str = "euclidean"
    kind: str = "gp"

    def __post_init__(self) -> None:
        _check_valid(self.kernel, self.distance)
        if self.anisotropic and self.distance != "euclidean":
            raise ProcessError(
                f"anisotropy has one direction on a plane, not on the sphere: leave it out, or use "
                f"`distance: euclidean` (got {self.distance})"
            )
        if self.areas.centroids is None:
            raise ProcessError(
                f"a gp needs centroids, and {self.areas.provenance.source} is an adjacency alone; "
                "use a CAR process, or a boundary file"
            )
        if self._coincide():
            raise ProcessError(
                f"two areas of {self.areas.provenance.source} have the same centroid, so their gp "
                "values would be equal; merge them or move one"
            )

    @property
    def anisotropic(self) -> bool:
        """Whether the lengthscale depends on the direction."""
        return "ratio" in self.fixed or any(c.name == "ratio" for c in self.conditions)

    @property
    def directed(self) -> bool:
        """Whether the kernel asks for directions."""
        return self.anisotropic or "periodic" in kernel_names(self.kernel)

    @cached_property
    def distances(self) -> np.ndarray:
        """Distances between centroids in km, `(area, area)`."""
        if self.distance == "euclidean":
            return cdist(self.areas.centroids, self.areas.centroids)
        degrees = longitude_latitude(self.areas)
        if self.distance == "chordal":
            return chordal_distances(degrees)
        return great_circle_distances(degrees)

    @cached_property
    def separation(self) -> Separation:
        """Distances, with directions only where the kernel needs them."""
        if not self.directed:
            return Separation(self.distances)
        places = self.areas.centroids
        assert places is not None
        # An area has no direction from itself; any unit vector will do at distance zero.
        length = self.distances + np.eye(len(places))
        direction = np.moveaxis(places[:, None] - places[None], -1, 0) / length
        direction[0] += np.eye(len(places))
        return Separation(self.distances, direction)

    @property
    def eigenbasis(self) -> None:
        """None: a kernel's eigenvectors turn with the lengthscale."""

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `k + nugget I` in float64."""
        return self._covariance(self.separation, hyper, np)

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        distance, direction = self.separation
        on_device = None if direction is None else jnp.asarray(direction)
        return self._covariance(Separation(jnp.asarray(distance), on_device), hyper, jnp)

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return the symmetric root, which is smoother in the hyperparameters than Cholesky's."""
        return symmetric_root(self.covariance(hyper))

    def correlation(self, apart: Separation, hyper: Hyper) -> Any:
        """Evaluate the kernel at any separations, without the nugget; NumPy or JAX.

        Args:
            apart: Distances, and directions where the kernel is `directed`.
            hyper: Free hyperparameters, broadcast against the distances.
        """
        values = self.all_hyper(hyper)
        if self.anisotropic:
            apart = stretched(apart, values["ratio"], values["angle"])
        return unit_covariance(self.kernel, apart, values)

    def _covariance(self, apart: Separation, hyper: Hyper, xp: Any) -> Any:
        return self.correlation(apart, hyper) + self.nugget * xp.eye(len(self.areas))

    def _coincide(self) -> bool:
        """Whether two areas share a place; on a plane without all their distances."""
        places = self.areas.centroids
        if self.distance == "euclidean" and places is not None:
            return len(np.unique(places, axis=0)) < len(places)
        return not self.distances[np.triu_indices(len(self.areas), 1)].all()


def _check_valid(kernel: str, distance: str) -> None:
    if distance not in VALID:
        raise ProcessError(
            f"unknown distance {distance!r}{nearest(distance, VALID)}; expected {', '.join(VALID)}"
        )
    valid = VALID[distance]
    wrong = [name for name in kernel_names(kernel) if name not in valid]
    if wrong:
        reason = (
            "is a function of coordinates on a plane"
            if wrong[0] == "periodic"
            else f"of {distance} distance is not positive definite on the sphere (Gneiting 2013, "
            "Bernoulli 19, table 1)"
        )
        options = "; ".join(f"`distance: {key}`: {', '.join(VALID[key])}" for key in VALID)
        raise ProcessError(f"kernel {wrong[0]} {reason}; valid are, with {options}")
