"""The simultaneous autoregression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.processes.base import Eigenbasis, Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.graph import Spectrum, adjacency_spectrum, refuse_isolated, refuse_outside
from priorvae.processes.spectral import Spectral

__all__ = ["SAR"]


@final
@dataclass(frozen=True, eq=False)
class SAR(Spectral):
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
        refuse_outside("sar: rho", self.extremes("rho"), self._spectrum, purpose)

    @cached_property
    def _spectrum(self) -> Spectrum:
        return adjacency_spectrum(self.areas)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`D^-1/2 U` and `U' D^1/2`, with gate `1 / (1 - rho lambda)`."""
        values, vectors = self._spectrum
        scale = np.sqrt(self.areas.degrees)

        def gate(hyper: Hyper) -> Any:
            return 1 / (1 - self.all_hyper(hyper)["rho"] * values)

        return Eigenbasis(vectors / scale[:, None], vectors.T * scale, gate, orthonormal=False)
