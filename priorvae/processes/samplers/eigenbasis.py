"""The sampler of processes whose eigenvectors do not depend on the hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.base import Eigenbasis, Gaussian
from priorvae.processes.samplers.base import Hypers, LatentSampler
from priorvae.processes.samplers.dense import require_dense

__all__ = ["EigenbasisSampler"]


@final
@dataclass(frozen=True, eq=False)
class EigenbasisSampler(LatentSampler):
    """`left (gate(theta) * right z)`: one decomposition serves every hyperparameter, exactly.

    Raises:
        ProcessError: The process has no decomposition that serves all its hyperparameters.
    """

    process: Gaussian
    name: str = "eigenbasis"
    error: float = 0.0

    def __post_init__(self) -> None:
        require_dense(self.process, f"sampler `{self.name}`")
        if self.process.eigenbasis is None:
            raise ProcessError(
                f"sampler `eigenbasis`: {self.process.kind} has eigenvectors that change with its "
                "hyperparameters; use `auto` or `interpolated-root`"
            )

    @property
    def _basis(self) -> Eigenbasis:
        assert self.process.eigenbasis is not None
        return self.process.eigenbasis

    @property
    def latent_dim(self) -> int:
        """Rank of the decomposition."""
        return self._basis.right.shape[0 if self._basis.orthonormal else 1]

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return `left (gate(theta) * right z)`, without a `right` that only rotates `z`."""
        gates = self._basis.gate({name: values[:, None] for name, values in hyper.items()})
        inner = z if self._basis.orthonormal else z @ self._basis.right.T
        return (gates * inner) @ self._basis.left.T
