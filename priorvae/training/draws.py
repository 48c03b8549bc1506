"""Fresh draws for every training step, from a root or from the process itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self, final

import jax
import jax.numpy as jnp
import numpy as np

from priorvae.config import TrainingConfig
from priorvae.objectives.objective import Batch
from priorvae.processes.base import Gaussian, Implicit, Process
from priorvae.processes.conditions import Condition
from priorvae.processes.roots import InterpolatedRoot, cholesky_root, symmetric_root
from priorvae.training.simulated import CalledDraws, CompiledDraws
from priorvae.training.strata import Strata

__all__ = ["DrawSource", "RootDraws", "build_draws"]


class DrawSource(Protocol):
    """Batches of draws whose hyperparameters are stratified and fresh at every step."""

    @property
    def batch_size(self) -> int:
        """Draws a step."""
        ...

    def batch(self, key: jax.Array) -> Batch:
        """Draw one batch, float32: inside the compiled step, unless it is made `ahead` of it."""
        ...

    def ahead(self, keys: jax.Array) -> Batch | None:
        """Return the batches of several steps, one for each key, stacked; None to draw inside."""
        ...

    def check(self, key: jax.Array) -> None:
        """Refuse the batch of a step whose loss is not finite, if the draws themselves are not.

        Raises:
            ProcessError: Says with which hyperparameters.
        """
        ...


def build_draws(
    process: Process,
    config: TrainingConfig,
    noise: float,
    root: Literal["symmetric", "cholesky"] = "symmetric",
) -> DrawSource:
    """Return draws of a process plus independent noise of variance `noise`.

    Those of a Gaussian process are `R z`, with its own root or with Cholesky's.
    """
    if isinstance(process, Gaussian):
        return RootDraws.build(process, config, noise, root)
    assert isinstance(process, Implicit)
    strata = Strata.build(process.conditions, config)
    assert isinstance(config.batch_size, int)  # as `draws: random` requires
    source = CompiledDraws if process.traceable else CalledDraws
    return source(process, strata, config.batch_size // strata.groups, noise)


@final
@dataclass(frozen=True, eq=False)
class RootDraws:
    """`R(theta) z` on the device, with a root interpolated over the hyperparameters.

    Attributes:
        root: Root of the draws' covariance over the hyperparameters' range.
        strata: Where the hyperparameters come from.
        draws_per_group: Draws that share a value.
        columns: Take the root's columns, times the root of their number, in place of random draws.
    """

    root: InterpolatedRoot
    strata: Strata
    draws_per_group: int
    columns: bool

    @classmethod
    def build(
        cls, process: Gaussian, config: TrainingConfig, noise: float, kind: str = "symmetric"
    ) -> Self:
        """Prepare the process's own root, or one of its covariance plus `noise`.

        A Cholesky factor is an analytic function of a regular covariance, so that it too can be
        interpolated, in a few degrees more than a symmetric root: on Georgia 23 in place of 15 to
        1e-6, with a Matern-3/2 kernel. That costs no factorisation a step, and its error is known.
        """
        diagonal = noise * np.eye(process.size)
        factorise = cholesky_root if kind == "cholesky" else symmetric_root

        def other_root(hyper: dict[str, float]) -> np.ndarray:
            return factorise(process.covariance(hyper) + diagonal)

        own = not noise and kind == "symmetric"
        root = InterpolatedRoot.economical(
            process.root if own else other_root, process.conditions, process.size
        )
        return cls.of(root, process.conditions, config)

    @classmethod
    def of(
        cls, root: InterpolatedRoot, conditions: tuple[Condition, ...], config: TrainingConfig
    ) -> Self:
        """Prepare draws by a root that is known already."""
        columns = config.draws == "columns"
        size = config.batch_size
        return cls(
            root=root,
            strata=Strata.build(conditions, config),
            draws_per_group=root.matrices.shape[2]
            if columns or size == "auto"
            else size // config.conditions_per_step,
            columns=columns,
        )

    @property
    def batch_size(self) -> int:
        """Draws a step."""
        return self.strata.groups * self.draws_per_group

    def batch(self, key: jax.Array) -> Batch:
        """Draw one batch, float32."""
        key_hyper, key_draws = jax.random.split(key)
        unit = self.strata.units(key_hyper)
        roots = jax.vmap(self.root)(unit)
        n = roots.shape[-1]
        if self.columns:
            draws = n**0.5 * jnp.swapaxes(roots, 1, 2)
            z = jnp.broadcast_to(n**0.5 * jnp.eye(n, dtype=draws.dtype), (len(unit), n, n))
        else:
            shape = (self.strata.groups, self.draws_per_group, n)
            z = jax.random.normal(key_draws, shape, jnp.float32)
            draws = jnp.einsum("gij,gdj->gdi", roots, z)
        return Batch(unit, draws, z)

    def ahead(self, keys: jax.Array) -> None:
        """Return None: the compiled step draws."""

    def check(self, key: jax.Array) -> None:
        """Find nothing: a finite root gives finite draws."""
