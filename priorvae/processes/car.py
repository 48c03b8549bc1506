"""The proper conditional autoregression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError, preview
from priorvae.processes.base import Eigenbasis, Gaussian, Hyper
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax

__all__ = ["ProperCAR"]


@final
@dataclass(frozen=True, eq=False)
class ProperCAR(Gaussian):
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

    def __post_init__(self) -> None:
        alone = [self.areas.ids[i] for i in np.flatnonzero(self.areas.degrees == 0)]
        if alone:
            raise ProcessError(
                f"a car needs a neighbour for every area; without one: {preview(alone)}; "
                "use `islands: bridge`, or leave these areas out"
            )
        low = 1 / self._spectrum[0][0]
        alphas = [v for c in self.conditions for v in (c.low, c.high)] + list(self.fixed.values())
        for alpha in alphas:
            if not low < alpha < 1:
                raise ProcessError(
                    f"car: alpha must lie in ({low:.3g}, 1) on this graph for the precision "
                    f"D - alpha W to be positive definite, got {alpha:g}"
                )

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (ascending) and eigenvectors of `D^-1/2 W D^-1/2`, float64."""
        scale = 1 / np.sqrt(self.areas.degrees)
        return np.linalg.eigh(scale[:, None] * self.areas.adjacency.toarray() * scale)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`D^-1/2 U` and `U'`, with gate `(1 - alpha lambda)^-1/2`."""
        values, vectors = self._spectrum

        def gate(hyper: Hyper) -> Any:
            return (1 - self.all_hyper(hyper)["alpha"] * values) ** -0.5

        left = vectors / np.sqrt(self.areas.degrees)[:, None]
        return Eigenbasis(left, vectors.T, gate)

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `(D - alpha W)^-1` in float64."""
        half = self.eigenbasis.left * self.eigenbasis.gate(hyper)
        return half @ half.T

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        half = jnp.asarray(self.eigenbasis.left) * self.eigenbasis.gate(hyper)
        return half @ half.T

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return `D^-1/2 U (1 - alpha lambda)^-1/2 U'` in float64."""
        return (self.eigenbasis.left * self.eigenbasis.gate(hyper)) @ self.eigenbasis.right
