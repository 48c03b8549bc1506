"""piVAE as published: a table of weights fitted to functions, and a VAE on the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.areas.box import Box
from priorvae.config import NetworkFeaturesConfig, PiVAEConfig, TableWeightsConfig
from priorvae.decoders.features import PREFIX, FeatureMap
from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.layers import Activation, ConcatCondition, Dense, Layer, Radial
from priorvae.decoders.spec import Decoder
from priorvae.objectives.encoders import DiagonalEncoder
from priorvae.objectives.objective import Batch, Finished
from priorvae.objectives.pivae import at_areas
from priorvae.processes.base import Process
from priorvae.processes.conditions import Condition
from priorvae.processes.cosines import require_continuous

__all__ = ["FunctionTable", "TableModule"]


class _Places(nnx.Module):
    """Features and the decoder of their weights, with one mapping of all their parameters."""

    def __init__(self, inner: Decoder, network: Decoder, rngs: nnx.Rngs) -> None:
        self.inner, self.network = inner, network
        own = DecoderModule(inner, rngs=rngs).weights
        features = DecoderModule(network, rngs=rngs).weights
        named = {PREFIX + k.removeprefix("layers."): v for k, v in features.items()}
        self.weights = nnx.Dict({**own, **named})

    def __call__(self, z: jax.Array, unit: jax.Array) -> jax.Array:
        """Decode latents to weights of the features, `(..., feature + 1)`."""
        values = {k: v[...] for k, v in self.weights.items() if not k.startswith(PREFIX)}
        return jnp.asarray(self.inner.apply(values, z, unit))

    def features(self, places: jax.Array) -> jax.Array:
        """Evaluate the features at places in the box's unit, and a constant, `(place, feature)`."""
        named = {k: v[...] for k, v in self.weights.items() if k.startswith(PREFIX)}
        values = {"layers." + k.removeprefix(PREFIX): v for k, v in named.items()}
        learnt = self.network.apply(values, places, jnp.zeros(0, places.dtype))
        return jnp.concatenate([learnt, jnp.ones((len(places), 1), learnt.dtype)], axis=-1)


class TableModule(nnx.Module):
    """The table of weights, the features, and encoder and decoder between weights and latents."""

    def __init__(self, decoder: _Places, encoder: DiagonalEncoder, table: jax.Array) -> None:
        self.decoder = decoder
        self.encoder = encoder
        self.table = nnx.Param(table)


@final
@dataclass(frozen=True, eq=False)
class FunctionTable:
    """`||y - beta_i' Phi||^2 + ||y - D(z_i)' Phi||^2 + KL`, over functions that are drawn once.

    Each of the functions has a row `beta_i` of a table, fitted to it together with `Phi`; the
    encoder sees the row, with no gradient back to it, and the decoder gives the row back from z.
    The last weight is a bias: the feature it belongs to is 1, so that it too is decoded. Sums of
    squares are over `2 s^2`, with `s^2 = 1/2` as published, and everything is per area.

    Source: Mishra et al. (2022), piVAE: encoding stochastic process priors with variational
    autoencoders, Statistics and Computing 32, section 3; functions are told apart by their index,
    not by their position in a batch.

    Attributes:
        process: Whose draws the functions are.
        box: Where the features hold.
        inner: From latents to weights.
        network: From a place to features, the constant one left out.
        config: Table and VAE.
    """

    process: Process
    box: Box
    inner: Decoder
    network: Decoder
    config: TableWeightsConfig
    noise: float = 0.0

    @classmethod
    def prepare(cls, config: PiVAEConfig, process: Process) -> Self:
        """Specify features and decoder.

        Raises:
            ProcessError: The process does not exist at every place of a plane.
            AreasError: The map has no centroids.
        """
        require_continuous(process, "a piVAE")
        features, weights = config.features, config.weights
        assert isinstance(features, NetworkFeaturesConfig)
        assert isinstance(weights, TableWeightsConfig)
        conditions = process.conditions if config.conditional else ()
        box = Box.around(process.areas, config.margin)
        inner = _inner(weights, features.number + 1, conditions)
        return cls(process, box, inner, _network(features), weights)

    @property
    def decoder(self) -> Decoder:
        """Specification of what is learnt, at the areas."""
        layers = (*self.inner.layers, Dense(len(self.process.areas), bias=False))
        return Decoder(
            self.inner.latent_dim, len(self.process.areas), self.inner.conditions, layers
        )

    def build(self, seed: int, weights: dict[str, np.ndarray] | None) -> TableModule:
        """Return the trainable module; it always starts at random."""
        rngs = nnx.Rngs(seed)
        places = _Places(self.inner, self.network, rngs)
        size = self.inner.num_areas
        encoder = DiagonalEncoder(
            size,
            len(self.inner.conditions),
            self.config.hidden[::-1],
            self.config.latent_dim,
            self.config.activation,
            rngs=rngs,
        )
        shape = (self.config.functions, size)
        table = jax.random.normal(rngs.params(), shape, jnp.float32) / size**0.5
        return TableModule(places, encoder, table)

    def initial(self, seed: int) -> TableModule:
        """Return the module as training starts with it."""
        return self.build(seed, None)

    def loss(
        self, model: TableModule, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss per area, averaged over the functions, and its three parts."""
        assert batch.functions is not None
        assert self.process.areas.centroids is not None
        places = jnp.asarray(self.box.unit(self.process.areas.centroids), jnp.float32)
        features = model.decoder.features(places)
        rows = model.table[...][batch.functions]
        unit = batch.unit if self.inner.conditions else batch.unit[:, :0]

        def coded(row: jax.Array, u: jax.Array, one: jax.Array) -> tuple[jax.Array, jax.Array]:
            posterior = model.encoder(jax.lax.stop_gradient(row)[None], u)
            return model.decoder(posterior.sample(one)[0], u), posterior.kl()

        decoded, divergence = jax.vmap(coded)(rows, unit, jax.random.split(key, len(rows)))
        values = batch.draws[:, 0]
        scale = 2 * self.config.likelihood_variance
        parts = {
            "table": jnp.mean((values - rows @ features.T) ** 2) / scale,
            "reconstruction": jnp.mean((values - decoded @ features.T) ** 2) / scale,
            "kl": jnp.mean(divergence) / values.shape[-1],
        }
        return sum(parts.values(), start=jnp.zeros(())), parts

    def finish(self, weights: Mapping[str, np.ndarray]) -> Finished:
        """Return the decoder at the areas, and the features that continue it between them."""
        exact = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
        own = {name: value for name, value in exact.items() if not name.startswith(PREFIX)}
        named = {name: value for name, value in exact.items() if name.startswith(PREFIX)}
        last = f"{PREFIX}{len(self.network.layers) - 1}"
        kernel, bias = named[f"{last}.kernel"], named[f"{last}.bias"]
        named[f"{last}.kernel"] = np.concatenate([kernel, np.zeros((len(kernel), 1))], axis=1)
        named[f"{last}.bias"] = np.append(bias, 1.0)
        number = len(bias) + 1
        network = Decoder(2, number, (), (*self.network.layers[:-1], Dense(number)))
        features = FeatureMap(network, self.box, named)
        return at_areas(self.decoder, own, features, self.process)


def _network(config: NetworkFeaturesConfig) -> Decoder:
    layers: list[Layer] = [Radial(config.centres)]
    for width in config.hidden:
        layers += [Dense(width), Activation("tanh")]
    return Decoder(2, config.number, (), (*layers, Dense(config.number)))


def _inner(config: TableWeightsConfig, number: int, conditions: tuple[Condition, ...]) -> Decoder:
    layers: list[Layer] = [ConcatCondition()] if conditions else []
    for width in config.hidden:
        layers += [Dense(width), Activation(config.activation)]
    return Decoder(config.latent_dim, number, conditions, (*layers, Dense(number)))
