"""Fields of a process from the latents of a decoder: one pair of fields for each latent vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.spatial import cKDTree

from priorvae.processes.base import Gaussian, Process
from priorvae.processes.conditions import Condition
from priorvae.processes.samplers import LatentSampler, build_sampler

if TYPE_CHECKING:
    import jax

__all__ = ["Coupled", "Coupling", "couple", "obstacle"]

NUM_POINTS = 16
"""Draws at which one rotation for all is found, and judged."""

LARGEST_TWIST = 1e-5
"""Share of the variance that one rotation for all draws may lose against one for each."""

FLOPS = 4e11
"""About what rotations may cost where one does not do; a decomposition takes `20 n^3`."""


_Slope = Callable[[Mapping[str, float]], np.ndarray]


class Coupled(Protocol):
    """What a coupling needs of a decoder; `priorvae.bundles.Bundle` has it."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Hyperparameters it is conditioned on."""

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""

    @property
    def is_linear(self) -> bool:
        """Whether a field is `matrix(hyper) @ z`."""

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Return the `(area, latent)` matrix of a linear decoder in float64."""

    def decode(self, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
        """Return `f`, `(area,)`, for one `z`, `(latent,)`; traceable and differentiable."""


def obstacle(decoder: Coupled, process: Process) -> str | None:
    """Say why a decoder's draws cannot be taken to the process, or None where they can be.

    Args:
        decoder: The decoder.
        process: The process it stands for.
    """
    if not isinstance(process, Gaussian):
        return (
            f"{process.kind} is known by its draws alone, and has no density to weight by: there "
            "is no exact posterior to compare with"
        )
    names = [c.name for c in process.conditions]
    if [c.name for c in decoder.conditions] != names:
        return (
            f"the decoder integrates {' and '.join(names)} out, so that its posterior has no draws "
            "of what the exact one depends on; use --exact, or a decoder that is conditioned on it"
        )
    return None


@dataclass(frozen=True, eq=False)
class Coupling:
    """A process in the latents of a decoder: `f = R(theta) U(theta) z`, `R R' = K`, `U U' = I`.

    Attributes:
        sampler: Applies the process's root `R(theta)`.
        rotations: `U`, `(point, root's columns, latent)`, that of the nearest point. Where the
            decoder has fewer latents than the root columns, the last columns of `U` take further
            standard normals.
        points: Where in the hyperparameters' ranges each holds, `(point, condition)`, in [-1, 1].
        conditions: The hyperparameters.
    """

    sampler: LatentSampler
    rotations: np.ndarray
    points: np.ndarray
    conditions: tuple[Condition, ...]

    @property
    def latent_dim(self) -> int:
        """Standard normals that a field is made of: the decoder's, and more if it has too few."""
        return self.rotations.shape[2]

    def fields(self, z: np.ndarray, hypers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return exact fields `(draw, area)`, float64.

        Args:
            z: Latents `(draw, latent_dim)`.
            hypers: By name, the hyperparameters of each draw, `(draw,)`.
        """
        if len(self.rotations) == 1:
            return self.sampler.draw(z @ self.rotations[0].T, hypers)
        _, nearest = cKDTree(self.points).query(_positions(self.conditions, hypers))
        rotated = np.empty((len(z), self.rotations.shape[1]))
        for point in np.unique(nearest):
            rows = nearest == point
            rotated[rows] = z[rows] @ self.rotations[point].T
        return self.sampler.draw(rotated, hypers)


def couple(decoder: Coupled, process: Gaussian, hypers: Mapping[str, np.ndarray]) -> Coupling:
    """Put a process into the latents of a decoder, field by field as close as rotations can.

    A process is `f = R(theta) U z` with `z ~ N(0, I)` for every `U` with orthonormal rows, which
    may depend on `theta`. Of these the closest to the decoder `D` solves an orthogonal Procrustes
    problem (Schönemann 1966),

        U = argmin sum_i E |R(theta_i) U z - D(z, theta_i)|^2
          = P Q',   P S Q' = sum_i R(theta_i)' J(theta_i),

    with `J` the decoder's matrix; of a decoder that is not linear in `z`, its Jacobian at `z = 0`.
    One `U` for all draws does where decoder and root turn with `theta` alike. Where they do not (a
    decoder of Cholesky factors, a root that is symmetric) each draw has its own, or, on larger
    maps, that of the nearest of as many draws as `FLOPS` allow.

    Args:
        decoder: The decoder.
        process: The process it stands for, without an `obstacle` to it.
        hypers: By name, the hyperparameters of each draw, `(draw,)`.
    """
    sampler = build_sampler(process)
    assert isinstance(sampler, LatentSampler), process.kind  # as those of Gaussian processes are
    positions = _positions(process.conditions, hypers)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in hypers.items()}
    slope = _slope_of(decoder)

    def cross(row: int) -> np.ndarray:
        return _cross(sampler, slope, {name: float(v[row]) for name, v in columns.items()})

    chosen = _spread(len(positions), NUM_POINTS)
    crosses = [cross(row) for row in chosen]
    together, shared = _procrustes(sum(crosses[1:], crosses[0]))
    apart = sum(_procrustes(each)[1] for each in crosses)
    if apart - shared <= LARGEST_TWIST * apart:
        return Coupling(sampler, together[None], positions[chosen[:1]], process.conditions)
    affordable = max(NUM_POINTS, int(FLOPS / (20 * max(together.shape) ** 3)))
    chosen = _spread(len(positions), affordable)
    rotations = np.stack([_procrustes(cross(row))[0] for row in chosen])
    return Coupling(sampler, rotations, positions[chosen], process.conditions)


def _spread(total: int, number: int) -> np.ndarray:
    """Return up to `number` rows of `total`, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(number, total)).astype(int))


def _positions(conditions: tuple[Condition, ...], hypers: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return where draws lie in the hyperparameters' ranges, `(draw, condition)`.

    Without hyperparameters all draws are at one point.
    """
    positions = [np.asarray(c.to_unit(hypers[c.name]), dtype=np.float64) for c in conditions]
    return np.stack(positions, axis=1) if positions else np.zeros((1, 0))


def _procrustes(cross: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the rotation that agrees best, and how far it does: the sum of singular values."""
    left, singular, right = np.linalg.svd(cross, full_matrices=False)
    return left @ right, float(singular.sum())


def _cross(sampler: LatentSampler, slope: _Slope, hyper: Mapping[str, float]) -> np.ndarray:
    """Return `R' J`, `(root's columns, latent)`, with columns of 0 for latents that lack."""
    identity = np.eye(sampler.latent_dim)
    transposed = sampler.draw(identity, {n: np.full(len(identity), v) for n, v in hyper.items()})
    found = transposed @ slope(hyper)
    return np.pad(found, ((0, 0), (0, max(0, found.shape[0] - found.shape[1]))))


def _slope_of(decoder: Coupled) -> _Slope:
    """Return what gives the decoder's matrix, or its Jacobian at `z = 0`, `(area, latent)`."""
    if decoder.is_linear:
        return lambda hyper: np.asarray(decoder.matrix(hyper), dtype=np.float64)
    import jax
    import jax.numpy as jnp

    jacobian = jax.jit(jax.jacfwd(decoder.decode))

    def slope(hyper: Mapping[str, float]) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(jacobian(jnp.zeros(decoder.latent_dim), dict(hyper)))

    return slope
