"""The proper conditional autoregression."""

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
from priorvae.processes.graph import (
    incidence,
    normalised_adjacency,
    refuse_isolated,
    refuse_outside,
)
from priorvae.processes.graphfilter import GraphFilter, GraphOperator

__all__ = ["ProperCAR"]


@final
@dataclass(frozen=True, eq=False)
class ProperCAR(GraphFilter):
    """`f ~ N(0, (D - alpha W)^-1)` on the map's graph, `D` the degrees, `W` the adjacency.

    With `U diag(lambda) U' = D^-1/2 W D^-1/2`, the root is `D^-1/2 U (1 - alpha lambda)^-1/2 U'`.
    Source: Besag (1974), JRSS B 36; in this parametrisation Gelfand and Vounatsou (2003),
    Biostatistics 4.

    Raises:
        ProcessError: An area has no neighbour, or alpha's range leaves the precision indefinite.
    """

    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    kind: str = "car"
    transform: ClassVar[str] = "log1m"  # a CAR changes fastest as alpha nears 1

    def __post_init__(self) -> None:
        refuse_isolated("car", self.areas)
        purpose = "the precision D - alpha W to be positive definite"
        refuse_outside("car: alpha", self.extremes("alpha"), self.areas, purpose)

    @cached_property
    def operator(self) -> GraphOperator:
        """`D^-1/2 W D^-1/2`, with `D^-1/2` after it."""
        left = 1 / np.sqrt(self.areas.degrees)
        return GraphOperator(normalised_adjacency(self.areas), -1.0, 1.0, left, np.ones_like(left))

    def response(self, eigenvalues: Any, hyper: Hyper) -> Any:
        """Return `(1 - alpha lambda)^-1/2`."""
        return (1 - self.all_hyper(hyper)["alpha"] * eigenvalues) ** -0.5

    def precision_factor(self, hyper: Hyper) -> sp.csr_array:
        """Return `[|alpha|^1/2 B; (1 - |alpha|)^1/2 D^1/2]`, as `D - W = B' B`.

        With a negative alpha `B` is unsigned, as `D + W = B' B` then.

        Raises:
            ProcessError: alpha is -1 or less.
        """
        alpha = self.all_hyper(hyper)["alpha"]
        if alpha <= -1:
            raise ProcessError(
                f"car: a sparse factor of the precision needs alpha above -1, got {alpha:g}; use "
                "another sampler"
            )
        edges = incidence(self.areas, signed=alpha >= 0)
        own = sp.diags_array(np.sqrt((1 - abs(alpha)) * self.areas.degrees))
        return sp.csr_array(sp.vstack([abs(alpha) ** 0.5 * edges, own]))
