"""A trained prior in memory: decode, sample, and the process it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from priorvae.areas.types import Areas
from priorvae.bundles.info import BundleInfo
from priorvae.decoders import numpy_backend
from priorvae.decoders.spec import Decoder
from priorvae.errors import BundleError
from priorvae.processes.base import Gaussian
from priorvae.processes.build import ON_GRAPHS
from priorvae.processes.conditions import Condition
from priorvae.processes.gp import GP

if TYPE_CHECKING:
    import jax

__all__ = ["Bundle"]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A decoder with its weights, its map and its metadata.

    Example:
        >>> prior = priorvae.load("artifacts/nc-sids-matern32-priorcvae")  # doctest: +SKIP
        >>> f = prior.decode(z, {"lengthscale": 80.0})  # doctest: +SKIP

    Attributes:
        info: The contents of `bundle.json`.
        areas: The map, in the order of `f`; without geometry.
        weights: The decoder's weights by flat name.
        path: Directory the bundle was read from, or None.
    """

    info: BundleInfo
    areas: Areas
    weights: Mapping[str, np.ndarray]
    path: Path | None = None

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The hyperparameters the decoder is conditioned on."""
        return tuple(record.to_condition() for record in self.info.conditions)

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder's specification."""
        return Decoder.from_records(
            self.info.decoder, self.info.latent_dim, self.info.num_areas, self.conditions
        )

    @property
    def area_ids(self) -> tuple[str, ...]:
        """Ids of the areas, in the order of `f`."""
        return self.areas.ids

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""
        return self.info.latent_dim

    @property
    def num_areas(self) -> int:
        """Length of `f`."""
        return self.info.num_areas

    @property
    def is_linear(self) -> bool:
        """Whether `f` is linear in `z` for given hyperparameters."""
        return self.decoder.is_linear

    def decode(self, z: jax.Array, hyper: Mapping[str, Any] | None = None) -> jax.Array:
        """Return `f = D(z, theta)` for one latent vector, under jit, vmap and grad.

        Args:
            z: Standard normal latents, shape `(latent,)`.
            hyper: A value for each condition, in its unit (lengthscales in km).

        Returns:
            Shape `(area,)`, in the float type of `z`.

        Raises:
            ConditionError: A hyperparameter is missing, unknown or outside the trained range.
        """
        from priorvae.decoders import jax_backend

        return jax_backend.decode(self.decoder, self.weights, z, hyper or {})

    def decode_numpy(self, z: np.ndarray, hyper: Mapping[str, float] | None = None) -> np.ndarray:
        """Return the same in float64 NumPy; `z` may be `(latent,)` or `(draw, latent)`."""
        return numpy_backend.decode(self.decoder, self.weights, z, hyper or {})

    def matrix(self, hyper: Mapping[str, float] | None = None) -> np.ndarray:
        """Return `A` with `f = A z`, shape `(area, latent)`, float64, of a linear decoder."""
        return numpy_backend.matrix(self.decoder, self.weights, hyper or {})

    def sample(
        self, key: jax.Array, hyper: Mapping[str, Any] | None = None, num_draws: int = 1
    ) -> jax.Array:
        """Draw fields from the decoder's prior, shape `(draw, area)`."""
        import jax

        z = jax.random.normal(key, (num_draws, self.latent_dim))
        return jax.vmap(lambda row: self.decode(row, hyper))(z)

    def process(self) -> Gaussian:
        """Return the exact process this bundle stands for, on the same map.

        Raises:
            BundleError: The process kind is not known to this version.
        """
        info = self.info.process
        hyperprior = tuple(record.to_condition() for record in info.hyperprior)
        if info.kind == "gp" and info.kernel is not None:
            distance = info.distance or "euclidean"
            return GP(self.areas, info.kernel, hyperprior, info.fixed, info.nugget, distance)
        if info.kind in ON_GRAPHS:
            return ON_GRAPHS[info.kind](self.areas, hyperprior, info.fixed)
        raise BundleError(
            f"{self.path or self.info.id}: process {info.kind!r} is not known to this version of "
            "priorvae; update it"
        )
