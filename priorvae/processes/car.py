"""The proper conditional autoregression."""

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

__all__ = ["ProperCAR"]


@final
@dataclass(frozen=True, eq=False)
class ProperCAR(Spectral):
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
        refuse_outside("car: alpha", self.extremes("alpha"), self._spectrum, purpose)

    @cached_property
    def _spectrum(self) -> Spectrum:
        return adjacency_spectrum(self.areas)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`D^-1/2 U` and `U'`, with gate `(1 - alpha lambda)^-1/2`."""
        values, vectors = self._spectrum

        def gate(hyper: Hyper) -> Any:
            return (1 - self.all_hyper(hyper)["alpha"] * values) ** -0.5

        left = vectors / np.sqrt(self.areas.degrees)[:, None]
        return Eigenbasis(left, vectors.T, gate)
