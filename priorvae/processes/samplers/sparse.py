"""Samplers that solve with sparse precisions: exact on any graph, however large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.base import Process
from priorvae.processes.bym2 import BYM2
from priorvae.processes.graphfilter import GraphFilter
from priorvae.processes.icar import ICAR
from priorvae.processes.intrinsic import Intrinsic
from priorvae.processes.samplers.base import Hypers, LatentSampler, one_by_one
from priorvae.processes.sparse import factorise

__all__ = ["IntrinsicSampler", "SparseCholeskySampler"]


@final
@dataclass(frozen=True, eq=False)
class SparseCholeskySampler(LatentSampler):
    """`Q(theta)^-1 G(theta)' z` with `Q = G' G`: one sparse factorisation a draw.

    Raises:
        ProcessError: The process has no sparse precision.
    """

    process: GraphFilter
    name: str = "sparse-cholesky"
    error: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.process, GraphFilter):
            raise ProcessError(
                f"sampler `{self.name}`: {self.process.kind} has no positive definite sparse "
                "precision, as car, sar and leroux have; use `auto`"
            )

    @property
    def latent_dim(self) -> int:
        """One normal a row of `G`."""
        return self.process.precision_factor(self._example()).shape[0]

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `Q(theta)^-1 G(theta)' z` for each draw."""
        fields = np.empty((len(z), self.process.size))
        known: dict[str, float] | None = None
        for index, values in enumerate(one_by_one(hyper, len(z))):
            if values != known:
                root = self.process.precision_factor(values)
                factor, known = factorise(root.T @ root), values
            fields[index] = factor.solve(root.T @ z[index])
        return fields

    def _example(self) -> dict[str, float]:
        return {c.name: float(c.from_unit(0.0)) for c in self.process.conditions}


@final
@dataclass(frozen=True, eq=False)
class IntrinsicSampler(LatentSampler):
    """`sqrt(rho) u + sqrt(1 - rho) v` (BYM2), or `u` (ICAR): one factorisation for every draw.

    Raises:
        ProcessError: The process is neither.
    """

    process: ICAR | BYM2
    name: str = "intrinsic"
    error: float = 0.0

    def __post_init__(self) -> None:
        _require_intrinsic(self.process, self.name)

    @property
    def latent_dim(self) -> int:
        """Normals of `u`, and one an area for `v` where there is one."""
        own = len(self.process.areas) if isinstance(self.process, BYM2) else 0
        return self._structured.latent_dim + own

    @property
    def _structured(self) -> Intrinsic:
        return self.process.intrinsic

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return the fields of `z (draw, latent)`."""
        num = self._structured.latent_dim
        structured = self._structured.field(z[:, :num].T).T
        if isinstance(self.process, ICAR):
            return structured
        rho = np.asarray(self.process.all_hyper(hyper)["rho"])[..., None]
        fields: np.ndarray = np.sqrt(rho) * structured + np.sqrt(1 - rho) * z[:, num:]
        return fields


def _require_intrinsic(process: Process, name: str) -> None:
    if not isinstance(process, ICAR | BYM2):
        raise ProcessError(
            f"sampler `{name}`: {process.kind} has no intrinsic part, as icar and bym2 have; use "
            "`auto`"
        )
