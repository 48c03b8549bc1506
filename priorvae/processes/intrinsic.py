"""The intrinsic autoregression on any graph, by sparse factorisation: scale, and draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from priorvae.areas.types import Areas
from priorvae.processes.graph import incidence, laplacian
from priorvae.processes.sparse import factorise, inverse_diagonal

__all__ = ["Intrinsic"]


@dataclass(frozen=True, eq=False)
class Intrinsic:
    """The scaled field `u` with precision `D - W`, summing to zero in each component.

    Within a component of m areas let `G` be the inverse of `D - W` without the row and column of
    one area, zero there. Then `(D - W)^+ = C G C` with `C = I - 11'/m`, and with the incidence `B`
    of the edges, `B' B = D - W`, the field `(D - W)^+ B' z`, `z ~ N(0, I)`, has covariance
    `(D - W)^+`: one sparse factorisation serves every draw, exactly.

    Source: Rue and Held (2005), Gaussian Markov Random Fields, section 3.2; for the scale Riebler
    et al. (2016), Statistical Methods in Medical Research 25, section 3.2, and per component
    Freni-Sterrantino, Ventrucci and Rue (2018), Spatial and Spatio-temporal Epidemiology 26.
    """

    areas: Areas

    @cached_property
    def labels(self) -> np.ndarray:
        """Component of each area."""
        return self.areas.components

    @cached_property
    def alone(self) -> np.ndarray:
        """Positions of the areas without neighbours."""
        return np.flatnonzero(self.areas.degrees == 0)

    @property
    def latent_dim(self) -> int:
        """Normals a field takes: one an edge, and one an area without neighbours."""
        return len(self.areas.edges) + len(self.alone)

    @cached_property
    def marginal_variances(self) -> np.ndarray:
        """Diagonal of `(D - W)^+`, `(area,)`; zero for an area without neighbours."""
        grounded = np.zeros(len(self.areas))
        grounded[self._free] = inverse_diagonal(self._grounded)
        # C G C on the diagonal: g_ii - 2 (G 1)_i / m + 1' G 1 / m^2.
        sums = self._ground_solve(np.ones(len(self.areas)))
        return grounded - 2 * sums / self._sizes + self._means(sums) / self._sizes

    @cached_property
    def scales(self) -> np.ndarray:
        """Geometric mean of the marginal variances in each area's component; 1 for a singleton."""
        logs = np.log(np.where(self._sizes > 1, self.marginal_variances, 1.0))
        return np.exp(self._means(logs))

    def field(self, z: np.ndarray) -> np.ndarray:
        """Map normals `(latent, draw)` to fields `(area, draw)`; areas alone are N(0, 1)."""
        num = len(self.areas.edges)
        field = self._ground_solve(self._pull @ z[:num])
        field -= self._means(field)
        field /= np.sqrt(self.scales)[:, None]
        field[self.alone] = z[num:]
        return field

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.bincount(self.labels)[self.labels]

    @cached_property
    def _free(self) -> np.ndarray:
        """Positions of all areas but the first of each component."""
        free = np.ones(len(self.areas), dtype=bool)
        free[np.unique(self.labels, return_index=True)[1]] = False
        return np.flatnonzero(free)

    @cached_property
    def _pull(self) -> sp.csr_array:
        return sp.csr_array(incidence(self.areas).T)

    @cached_property
    def _grounded(self) -> sp.csr_array:
        return laplacian(self.areas)[self._free][:, self._free]

    @cached_property
    def _factor(self) -> Any:
        return factorise(self._grounded)

    def _ground_solve(self, right: np.ndarray) -> np.ndarray:
        """Apply `G` to `(area,)` or `(area, draw)`."""
        solution = np.zeros_like(right)
        solution[self._free] = self._factor.solve(np.ascontiguousarray(right[self._free]))
        return solution

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Return each area's component mean, `(area,)` or `(area, draw)`."""
        return (self._averaging @ values)[self.labels]

    @cached_property
    def _averaging(self) -> sp.csr_array:
        n = len(self.areas)
        return sp.csr_array((1 / self._sizes, (self.labels, np.arange(n))))
