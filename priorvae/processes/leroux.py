"""The Leroux conditional autoregression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import scipy.sparse as sp

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes.base import Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.graph import incidence, laplacian
from priorvae.processes.graphfilter import GraphFilter, GraphOperator

__all__ = ["Leroux"]

_LARGEST = 0.999
"""Up to here a Chebyshev series of degree 47 holds the root to 3e-6."""


@final
@dataclass(frozen=True, eq=False)
class Leroux(GraphFilter):
    """`f ~ N(0, (rho (D - W) + (1 - rho) I)^-1)`: independent at rho = 0, intrinsic towards 1.

    With `D - W = U diag(lambda) U'` the root is `U (rho lambda + 1 - rho)^-1/2 U'`. Each component
    of the graph has a mean of its own, with variance `1 / ((1 - rho) m)` over its m areas: an area
    without neighbours has variance `1 / (1 - rho)`.

    Source: Leroux, Lei and Breslow (2000), in Statistical Models in Epidemiology, the Environment,
    and Clinical Trials.

    Raises:
        ProcessError: rho is negative or not below 1, or its range ends above 0.999, where the
            means of the components, whose variance is unbounded, are all that changes.
    """

    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    kind: str = "leroux"
    transform: ClassVar[str] = "arcsine"

    def __post_init__(self) -> None:
        for rho in self.extremes("rho"):
            if not 0 <= rho < 1:
                raise ProcessError(
                    f"leroux: rho must lie in [0, 1), since the precision is singular at 1, "
                    f"got {rho:g}"
                )
        if self.conditions and max(self.extremes("rho")) > _LARGEST:
            raise ProcessError(
                f"leroux: the range of rho may reach up to {_LARGEST} (got "
                f"{max(self.extremes('rho')):g}); for the intrinsic limit use `kind: icar`, or "
                "`kind: bym2`, whose rho may be 1"
            )

    @cached_property
    def operator(self) -> GraphOperator:
        """`D - W`, whose eigenvalues are at most twice the largest degree."""
        ones = np.ones(len(self.areas))
        high = 2.0 * max(1, int(self.areas.degrees.max()))
        return GraphOperator(laplacian(self.areas), 0.0, high, ones, ones)

    def response(self, eigenvalues: Any, hyper: Hyper) -> Any:
        """Return `(rho lambda + 1 - rho)^-1/2`."""
        rho = self.all_hyper(hyper)["rho"]
        return (rho * eigenvalues + 1 - rho) ** -0.5

    def precision_factor(self, hyper: Hyper) -> sp.csr_array:
        """Return `[rho^1/2 B; (1 - rho)^1/2 I]`, as `D - W = B' B`."""
        rho = self.all_hyper(hyper)["rho"]
        own = (1 - rho) ** 0.5 * sp.eye_array(self.size)
        return sp.csr_array(sp.vstack([rho**0.5 * incidence(self.areas), own]))
