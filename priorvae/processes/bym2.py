"""The BYM2 model: a mixture of structured and unstructured variation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes.base import Eigenbasis, Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.icar import scaled_spectrum
from priorvae.processes.intrinsic import Intrinsic
from priorvae.processes.spectral import Spectral

__all__ = ["BYM2"]


@final
@dataclass(frozen=True, eq=False)
class BYM2(Spectral):
    """`f = sqrt(rho) u + sqrt(1 - rho) v`, `u` the scaled ICAR and `v ~ N(0, I)`.

    `rho` is the share of the variance that is spatial. With `U diag(s) U'` the covariance of `u`,
    the root is `U (rho s + 1 - rho)^1/2 U'`: the two parts need no latents of their own. At rho = 1
    the gate of a null vector falls to 0 with infinite slope, but as a cosine in
    `arcsin(sqrt(rho))`, the scale that the decoder sees.

    Source: Riebler et al. (2016), Statistical Methods in Medical Research 25, equation 6.

    Raises:
        ProcessError: rho leaves [0, 1].
    """

    areas: Areas
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    kind: str = "bym2"
    transform: ClassVar[str] = "arcsine"

    def __post_init__(self) -> None:
        for rho in self.extremes("rho"):
            if not 0 <= rho <= 1:
                raise ProcessError(
                    f"bym2: rho is a share of variance and must lie in [0, 1], got {rho:g}"
                )

    @cached_property
    def intrinsic(self) -> Intrinsic:
        """The structured part."""
        return Intrinsic(self.areas)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`U` and `U'`, with gate `(rho s + 1 - rho)^1/2`."""
        variances, vectors = scaled_spectrum(self.intrinsic)

        def gate(hyper: Hyper) -> Any:
            rho = self.all_hyper(hyper)["rho"]
            return (rho * variances + 1 - rho) ** 0.5

        return Eigenbasis(vectors, vectors.T, gate)
