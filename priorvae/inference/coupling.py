"""Fields of a process from the latents of a decoder: one pair of fields for each latent vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from priorvae.processes.base import Gaussian, Process
from priorvae.processes.conditions import Condition
from priorvae.processes.samplers import LatentSampler, build_sampler

if TYPE_CHECKING:
    import jax

__all__ = ["Coupled", "Coupling", "couple", "obstacle"]

NUM_POINTS = 16
"""Draws at which decoder and process are aligned."""


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
    """A process in the latents of a decoder: `f = R(theta) U z`, `R R' = K`, `U U' = I`.

    Attributes:
        sampler: Applies the process's root `R(theta)`.
        rotation: `U`, `(root's columns, latent)`. Where the decoder has fewer latents than the root
            columns, the last columns of `U` take further standard normals.
    """

    sampler: LatentSampler
    rotation: np.ndarray

    @property
    def latent_dim(self) -> int:
        """Standard normals that a field is made of: the decoder's, and more if it has too few."""
        return self.rotation.shape[1]

    def fields(self, z: np.ndarray, hypers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return exact fields `(draw, area)`, float64.

        Args:
            z: Latents `(draw, latent_dim)`.
            hypers: By name, the hyperparameters of each draw, `(draw,)`.
        """
        return self.sampler.draw(z @ self.rotation.T, hypers)


def couple(
    decoder: Coupled, process: Gaussian, latents: np.ndarray, hypers: Mapping[str, np.ndarray]
) -> Coupling:
    """Put a process into the latents of a decoder, field by field as close as one rotation can.

    A process is `f = R(theta) U z` with `z ~ N(0, I)` for every `U` with orthonormal rows. Of these
    the closest to the decoder `D` solves an orthogonal Procrustes problem (Schönemann 1966),

        U = argmin sum_i E |R(theta_i) U z - D(z, theta_i)|^2
          = P Q',   P S Q' = sum_i R(theta_i)' E[D(z, theta_i) z'],

    over some of the draws' hyperparameters. Of a decoder linear in `z` the expectation is its
    matrix; of any other it is its mean Jacobian (Stein's lemma), taken at those draws' latents.

    Args:
        decoder: The decoder.
        process: The process it stands for, without an `obstacle` to it.
        latents: Draws of `z`, `(draw, latent)`.
        hypers: By name, the hyperparameters of each draw, `(draw,)`.
    """
    sampler = build_sampler(process)
    assert isinstance(sampler, LatentSampler), process.kind  # as those of Gaussian processes are
    chosen = np.unique(np.linspace(0, len(latents) - 1, NUM_POINTS).astype(int))
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in hypers.items()}
    cross = np.zeros((sampler.latent_dim, max(sampler.latent_dim, latents.shape[1])))
    for row in chosen:
        hyper = {name: float(values[row]) for name, values in columns.items()}
        cross[:, : latents.shape[1]] += _root(sampler, hyper).T @ _slope(
            decoder, latents[row], hyper
        )
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    return Coupling(sampler, left @ right)


def _root(sampler: LatentSampler, hyper: Mapping[str, float]) -> np.ndarray:
    identity = np.eye(sampler.latent_dim)
    return sampler.draw(identity, {n: np.full(len(identity), v) for n, v in hyper.items()}).T


def _slope(decoder: Coupled, z: np.ndarray, hyper: Mapping[str, float]) -> np.ndarray:
    """Return the decoder's matrix, or its Jacobian at `z`, `(area, latent)`."""
    if decoder.is_linear:
        return np.asarray(decoder.matrix(hyper), dtype=np.float64)
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        jacobian = jax.jit(jax.jacfwd(lambda latent: decoder.decode(latent, hyper)))
        return np.asarray(jacobian(jnp.asarray(z, dtype=np.float64)))
