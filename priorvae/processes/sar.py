"""The simultaneous autoregression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import scipy.sparse as sp

from priorvae.areas.types import Areas
from priorvae.processes.base import Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.graph import normalised_adjacency, refuse_isolated, refuse_outside
from priorvae.processes.graphfilter import GraphFilter, GraphOperator

__all__ = ["SAR"]


@final
@dataclass(frozen=True, eq=False)
class SAR(GraphFilter):
    """`f = rho D^-1 W f + e`, `e ~ N(0, I)`: each area is drawn to the mean of its neighbours.

    The covariance is `((I - rho D^-1 W)' (I - rho D^-1 W))^-1`. The row-standardised weights are
    not symmetric but similar to `D^-1/2 W D^-1/2 = U diag(lambda) U'`, so that

        (I - rho D^-1 W)^-1 = D^-1/2 U diag(1 / (1 - rho lambda)) U' D^1/2

    is a root whose outer factors serve every rho; not the symmetric one, but as smooth.

    Source: Whittle (1954), Biometrika 41; Ord (1975), JASA 70, for the eigenvalues.

    Raises:
        ProcessError: An area has no neighbour, or rho's range leaves `I - rho D^-1 W` singular.
    """

    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    kind: str = "sar"
    transform: ClassVar[str] = "log1m"  # a SAR changes fastest as rho nears 1

    def __post_init__(self) -> None:
        refuse_isolated("sar", self.areas)
        purpose = "I - rho D^-1 W to be invertible"
        refuse_outside("sar: rho", self.extremes("rho"), self.areas, purpose)

    @cached_property
    def operator(self) -> GraphOperator:
        """`D^-1/2 W D^-1/2` between `D^-1/2` and `D^1/2`."""
        scale = np.sqrt(self.areas.degrees)
        return GraphOperator(normalised_adjacency(self.areas), -1.0, 1.0, 1 / scale, scale)

    def response(self, eigenvalues: Any, hyper: Hyper) -> Any:
        """Return `1 / (1 - rho lambda)`."""
        return 1 / (1 - self.all_hyper(hyper)["rho"] * eigenvalues)

    def precision_factor(self, hyper: Hyper) -> sp.csr_array:
        """Return `I - rho D^-1 W`."""
        weights = sp.diags_array(1 / self.areas.degrees) @ self.areas.adjacency
        return sp.csr_array(sp.eye_array(self.size) - self.all_hyper(hyper)["rho"] * weights)
