"""A covariance of distance and time lag that does not separate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy.spatial.distance import cdist

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes.base import Gaussian, Hyper, Layers
from priorvae.processes.conditions import Condition
from priorvae.processes.roots import symmetric_root

if TYPE_CHECKING:
    import jax

__all__ = ["Gneiting"]


@final
@dataclass(frozen=True, eq=False)
class Gneiting(Gaussian):
    """`f ~ N(0, C(h_ij, u_kl) + nugget I)` over centroids and times, layer after layer.

    With `psi(u) = (|u| / timescale)^2a + 1`,

        C(h, u) = 1 / psi(u) exp(-(h / lengthscale)^2g / psi(u)^bg).

    At the interaction b = 0 it is the product of a covariance in space and one in time; above, the
    lengthscale is `psi(u)^(b/2)` times as long at time lag u: what is far away is felt later.

    Source: Gneiting (2002), Journal of the American Statistical Association 97, equation 14 with
    tau = 1, which is valid in the plane for every b in [0, 1].

    Attributes:
        times: The times as numbers, one a layer.
        spatial_power: g, in (0, 1].
        temporal_power: a, in (0, 1].

    Raises:
        ProcessError: The map has no centroids, or two areas share one.
    """

    areas: Areas
    layers: Layers = field()
    times: tuple[float, ...]
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    spatial_power: float = 0.5
    temporal_power: float = 0.5
    nugget: float = 1e-6
    kind: str = "space-time"
    hyper_names: ClassVar = ("lengthscale", "timescale", "interaction")
    constants: ClassVar = ("spatial_power", "temporal_power", "nugget")

    def __post_init__(self) -> None:
        if self.areas.centroids is None:
            raise ProcessError(
                f"gneiting needs centroids, and {self.areas.provenance.source} is an adjacency "
                "alone; use a `spatial` process on the graph with a `temporal` one, or a boundary "
                "file"
            )
        if not self.distances[np.triu_indices(len(self.areas), 1)].all():
            raise ProcessError(
                f"two areas of {self.areas.provenance.source} have the same centroid, so their "
                "values would be equal; merge them or move one"
            )

    @cached_property
    def distances(self) -> np.ndarray:
        """Distances between centroids in km, `(area, area)`."""
        return cdist(self.areas.centroids, self.areas.centroids)

    @cached_property
    def lags(self) -> np.ndarray:
        """Distances in time, in the unit of `times`, `(layer, layer)`."""
        return np.abs(np.subtract.outer(self.times, self.times))

    @property
    def eigenbasis(self) -> None:
        """None: the eigenvectors turn with the hyperparameters."""

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `C + nugget I` in float64."""
        return self._covariance(hyper, np)

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        return self._covariance(hyper, jnp)

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return the symmetric root, which is smooth in the hyperparameters."""
        return symmetric_root(self.covariance(hyper))

    def _covariance(self, hyper: Hyper, xp: Any) -> Any:
        values = self.all_hyper(hyper)
        space, time = 2 * self.spatial_power, 2 * self.temporal_power
        # Powers of distances are constants: a gradient would not be finite at distance zero.
        far = xp.asarray(self.distances**space) * values["lengthscale"] ** -space
        psi = xp.asarray(self.lags**time) * values["timescale"] ** -time + 1
        slower = psi ** (values["interaction"] * self.spatial_power)
        each = xp.exp(-far / slower[:, :, None, None]) / psi[:, :, None, None]
        layered = xp.moveaxis(each, 2, 1).reshape(self.size, self.size)
        return layered + self.nugget * xp.eye(self.size)
