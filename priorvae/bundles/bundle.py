"""A trained prior in memory: decode, sample, and the process it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from priorvae.areas.types import Areas
from priorvae.bundles.info import BundleInfo
from priorvae.bundles.places import PriorAtPlaces, named_places
from priorvae.config import FunctionConfig
from priorvae.decoders import numpy_backend
from priorvae.decoders.features import FeatureMap
from priorvae.decoders.spec import Decoder
from priorvae.errors import BundleError, ConfigError, ProcessError
from priorvae.processes.base import Process
from priorvae.processes.build import build_process, read_process
from priorvae.processes.conditions import Condition
from priorvae.processes.usercode import file_checksum

if TYPE_CHECKING:
    import jax

__all__ = ["Bundle"]

_MOST_AT_ONCE = 4000


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
        arrays: Numbers its process is made of beyond map and hyperparameters.
        features: What continues the decoder between the areas; None where nothing does.
    """

    info: BundleInfo
    areas: Areas
    weights: Mapping[str, np.ndarray]
    path: Path | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: FeatureMap | None = None

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The hyperparameters the decoder is conditioned on."""
        return tuple(record.to_condition() for record in self.info.conditions)

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder's specification."""
        return Decoder.from_records(
            self.info.decoder, self.info.latent_dim, self.size, self.conditions
        )

    @property
    def area_ids(self) -> tuple[str, ...]:
        """Ids of the areas, in the order of `f`, or of each layer of it."""
        return self.areas.ids

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of `f`: the area's id, or `layer/id` where there are layers."""
        layers = self.info.layers
        if layers is None:
            return self.areas.ids
        return tuple(f"{label}/{area}" for label in layers.labels for area in self.areas.ids)

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""
        return self.info.latent_dim

    @property
    def num_areas(self) -> int:
        """Areas of the map."""
        return self.info.num_areas

    @property
    def size(self) -> int:
        """Length of `f`: one value an area, in each layer where there are layers."""
        layers = self.info.layers
        return self.num_areas * (1 if layers is None else len(layers.labels))

    @property
    def is_linear(self) -> bool:
        """Whether `f` is linear in `z` for given hyperparameters."""
        return self.decoder.is_linear

    def decode(self, z: jax.Array, hyper: Mapping[str, Any] | None = None) -> jax.Array:
        """Return `f = D(z, theta)` for one latent vector, under jit, vmap and grad.

        Args:
            z: Standard normal latents, shape `(latent,)`.
            hyper: A value for each condition, in its unit (lengthscales in km); of a category its
                label, such as `rbf`, or its number.

        Returns:
            Shape `(area,)`, in the float type of `z`.

        Raises:
            ConditionError: A hyperparameter is missing, unknown or outside the trained range.
        """
        from priorvae.decoders import jax_backend

        return jax_backend.decode(self.decoder, self.weights, z, hyper or {})

    def decode_numpy(self, z: np.ndarray, hyper: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return the same in float64 NumPy; `z` may be `(latent,)` or `(draw, latent)`."""
        return numpy_backend.decode(self.decoder, self.weights, z, hyper or {})

    def matrix(self, hyper: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return `A` with `f = A z`, shape `(area, latent)`, float64, of a linear decoder."""
        return numpy_backend.matrix(self.decoder, self.weights, hyper or {})

    def sample(
        self, key: jax.Array, hyper: Mapping[str, Any] | None = None, num_draws: int = 1
    ) -> jax.Array:
        """Draw fields from the decoder's prior, shape `(draw, area)`."""
        import jax

        z = jax.random.normal(key, (num_draws, self.latent_dim))
        decode = jax.vmap(lambda row: self.decode(row, hyper))
        # In blocks: a network over areas holds all its channels of every draw at once.
        starts = range(0, max(num_draws, 1), _MOST_AT_ONCE)
        return jax.numpy.concatenate([decode(z[i : i + _MOST_AT_ONCE]) for i in starts])

    def at(self, places: np.ndarray | Areas) -> PriorAtPlaces:
        """Return the prior at other places: its `decode` gives the field there, from the same z.

        Example:
            >>> new = prior.at([[310.0, 3650.0], [325.0, 3640.0]])  # doctest: +SKIP
            >>> there = jax.vmap(new.decode)(fit["f_z"], {"lengthscale": fit["f_lengthscale"]})
            ... # doctest: +SKIP

        Args:
            places: Coordinates in km on the map's projection, `(place, 2)`; or areas, whose
                centroids they are.

        Raises:
            BundleError: The decoder knows its areas only.
            AreasError: A place lies outside the box that the decoder was trained for, or areas are
                in another projection.
        """
        if self.features is None:
            raise BundleError(
                f"{self._place}: a {self.info.type} knows its prior at its areas only; train a "
                "piVAE (`model: {type: piVAE}`) for other places"
            )
        boundary = self.info.boundary
        found, names = named_places(places, boundary.crs, boundary.source)
        return PriorAtPlaces.of(self.decoder, self.weights, self.features, found, names)

    def process(self, function: str | None = None) -> Process:
        """Return the exact process this bundle stands for, on the same map.

        Args:
            function: Consent to import the user's own function that the process is, by its name
                `module:name`. Only a bundle of `kind: function` needs it.

        Raises:
            BundleError: The process is not known to this version. Or it is a user's function and
                `function` does not name it, or its file is no longer the same.
        """
        try:
            config = read_process(self.info.process.config)
            if isinstance(config, FunctionConfig):
                self._check_consent(config.function, function)
            elif function is not None:
                raise BundleError(
                    f"{self._place}: stands for a {config.kind}, not for a user's function; leave "
                    f"out {function!r}"
                )
            return build_process(config, self.areas, self.arrays)
        except (ConfigError, ProcessError) as error:
            if self.info.process.function is not None:
                raise BundleError(f"{self._place}: {error}") from None
            raise BundleError(
                f"{self._place}: its process cannot be built by this version of priorvae "
                f"({error}); update it"
            ) from None

    @property
    def _place(self) -> str:
        return str(self.path or self.info.id)

    def _check_consent(self, named: str, function: str | None) -> None:
        """Refuse to import what the user did not name, or what is not what it was."""
        recorded = self.info.process.function
        if recorded is None or recorded.path != named:
            raise BundleError(
                f"{self._place}: does not say which file its function {named} is in; get a fresh "
                "copy, or train again"
            )
        if function is None:
            raise BundleError(
                f"{self._place}: stands for the function {named}, and no bundle makes this import "
                "anyone's code. If that module is yours or you trust it, say so: `priorvae "
                f"evaluate BUNDLE --function {named}`, or `process(function={named!r})`"
            )
        if function != named:
            raise BundleError(f"{self._place}: stands for the function {named}, not for {function}")
        found = file_checksum(named)
        if found != recorded.sha256:
            raise BundleError(
                f"{self._place}: the file of {named} is not the one that the bundle was made with "
                f"(sha256 {found[:12]}... and {recorded.sha256[:12]}...); restore it, or train "
                "again"
            )
