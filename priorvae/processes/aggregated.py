"""A Gaussian process on fine cells or points, aggregated to areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from priorvae.areas.types import Areas
from priorvae.processes import chebyshev
from priorvae.processes.base import Gaussian, Hyper, Implicit
from priorvae.processes.conditions import Condition, unit_vector
from priorvae.processes.roots import InterpolatedRoot, symmetric_root

if TYPE_CHECKING:
    import jax

__all__ = ["Aggregated", "FieldMoments", "TransformedAggregate", "aggregation_arrays", "fine_map"]

_TOLERANCE = 1e-5


class FieldMoments(NamedTuple):
    """Mean and covariance of a field that need not be Gaussian."""

    mean: np.ndarray
    """Shape `(size,)`, float64."""
    covariance: np.ndarray
    """Shape `(size, size)`, float64."""


@final
@dataclass(frozen=True, eq=False)
class Aggregated(Gaussian):
    """`f = A g`, so `K = A K_g A'`: exactly Gaussian, of one variance for each area's shape.

    The root is the symmetric one of `A K_g A'`. The range of that matrix is the range of `A`,
    whatever the hyperparameters; so it is smooth in them even where boundary systems nest and the
    covariance is singular. `A K_g^1/2` is another root, but it takes a decomposition of the larger
    matrix and gives a latent to each cell.

    Source: Semenova et al. (2023), aggVAE, arXiv 2305.19779; Gelfand, Zhu and Carlin (2001), On
    the change of support problem for spatio-temporal data, Biostatistics 2.

    Attributes:
        areas: The map, or several boundary systems joined.
        fine: The process `g` on cells or points.
        weights: `A`, sparse, `(area, cell)`.
    """

    areas: Areas
    fine: Gaussian
    weights: sp.csr_array
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float
    kind: str = "aggregated"

    @property
    def eigenbasis(self) -> None:
        """None: eigenvectors turn with the lengthscale."""

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Places of the cells and weights: enough to build the process without polygons."""
        return aggregation_arrays(self.fine, self.weights)

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `A K_g A'` in float64."""
        return _carried(self.weights, self.fine.covariance(hyper))

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        fine = self.fine.covariance_jax(hyper)
        weights = self.weights.toarray().astype(fine.dtype)
        return weights @ fine @ weights.T

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return the symmetric root."""
        return symmetric_root(self.covariance(hyper))


@final
@dataclass(frozen=True, eq=False)
class TransformedAggregate(Implicit):
    """`f = A h(a g)` with `h` the exponential or the inverse logit: the areas' risk, not its log.

    Averaging after `h` is what happens to people: the risk of a district is the mean risk of those
    who live in it, which is above the exponential of their mean log-risk. The result is not
    Gaussian, and its mean is not zero. The condition or constant `amplitude` is `a`.

    Attributes:
        areas: The map, or several boundary systems joined.
        fine: The process `g` on cells or points.
        weights: `A`, sparse, `(area, cell)`.
        nonlinearity: `exp` or `expit`.
    """

    areas: Areas
    fine: Gaussian
    weights: sp.csr_array
    nonlinearity: str
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float
    kind: str = "aggregated"

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Places of the cells and weights: enough to build the process without polygons."""
        return aggregation_arrays(self.fine, self.weights)

    @cached_property
    def fine_root(self) -> InterpolatedRoot:
        """The root of the fine process over its hyperparameters' range; set up once."""
        return InterpolatedRoot.fit(self.fine.root, self.fine.conditions, _TOLERANCE)

    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(size,)`; can be traced, in the key and in hyperparameters."""
        import jax
        import jax.numpy as jnp

        root, values = self.fine_root, self.all_hyper(hyper)
        z = jax.random.normal(key, root.matrices.shape[2:])
        units = unit_vector(self.fine.conditions, values, jnp).astype(z.dtype)
        mix = chebyshev.features(units, root.degrees) @ jnp.asarray(root.coefficients, z.dtype)
        # Vectors before matrices: a mixed root for each draw of a batch would not fit in memory.
        fine = mix @ (jnp.asarray(root.matrices, z.dtype) @ z)
        cells = self._bent(values["amplitude"] * fine, jnp.exp, jax.nn.sigmoid)
        parts = jnp.asarray(self.weights.data, z.dtype) * cells[self.weights.indices]
        return jax.ops.segment_sum(parts, self._rows, self.size, indices_are_sorted=True)

    def of_fine(self, fine: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
        """Return fields `(draw, size)` of given fine ones `(draw, cell)`, float64."""
        cells = self._bent(np.asarray(amplitude)[..., None] * fine, np.exp, expit)
        return (self.weights @ cells.T).T

    def moments(self, hyper: Hyper) -> FieldMoments | None:
        """Return the exact mean and covariance where they have a closed form: for `exp`.

        A lognormal cell has mean `m = exp(a^2 k / 2)`, with `k` its variance in `g`, and two have
        the covariance `m_c m_d (exp(a^2 k_cd) - 1)`.
        """
        if self.nonlinearity != "exp":
            return None
        covariance = float(self.all_hyper(hyper)["amplitude"]) ** 2 * self.fine.covariance(hyper)
        mean = np.exp(np.diag(covariance) / 2)
        bent = np.outer(mean, mean) * np.expm1(covariance)
        return FieldMoments(self.weights @ mean, _carried(self.weights, bent))

    def _bent(self, cells: Any, exponential: Any, inverse_logit: Any) -> Any:
        return exponential(cells) if self.nonlinearity == "exp" else inverse_logit(cells)

    @property
    def _rows(self) -> np.ndarray:
        """The area of each weight, ascending."""
        return np.repeat(np.arange(self.size), np.diff(self.weights.indptr))


def fine_map(areas: Areas, places: np.ndarray) -> Areas:
    """Return cells or points as a map without neighbours, in the coordinates of the areas.

    Args:
        areas: The areas they lie in.
        places: Centres of the cells, or the points, `(cell, 2)` in km.
    """
    ids = tuple(f"{position}" for position in range(1, len(places) + 1))
    return Areas(
        ids=ids,
        names=ids,
        edges=np.zeros((0, 2), dtype=np.int64),
        bridge=np.zeros(0, dtype=bool),
        centroids=places,
        extent=areas.extent,
        crs=areas.crs,
        provenance=areas.provenance,
    )


def aggregation_arrays(fine: Gaussian, weights: sp.csr_array) -> dict[str, np.ndarray]:
    """Return the numbers from which an aggregation is built again."""
    assert fine.areas.centroids is not None
    return {
        "places": fine.areas.centroids,
        "weights.data": weights.data,
        "weights.indices": weights.indices.astype(np.int64),
        "weights.indptr": weights.indptr.astype(np.int64),
    }


def _carried(weights: sp.csr_array, covariance: np.ndarray) -> np.ndarray:
    """Return `A K A'`, symmetric to the last bit."""
    carried: np.ndarray = weights @ (weights @ covariance).T
    return (carried + carried.T) / 2
