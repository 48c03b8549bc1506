"""piVAE from the process itself: cosines of a place, and a root of their weights' covariance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import jax
import numpy as np
from flax import nnx

from priorvae.areas.box import Box
from priorvae.config import CosineFeaturesConfig, PiVAEConfig, RootWeightsConfig
from priorvae.decoders.features import FeatureMap
from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.layers import Activation, Dense, Gate, Layer
from priorvae.decoders.spec import Decoder
from priorvae.objectives.objective import Batch, Finished
from priorvae.objectives.regression import Regression
from priorvae.objectives.solo import Solo
from priorvae.objectives.warm_start import alternating_least_squares
from priorvae.processes import chebyshev
from priorvae.processes.base import Process
from priorvae.processes.conditions import Condition
from priorvae.processes.cosines import CosineProjection, require_continuous
from priorvae.processes.roots import InterpolatedRoot

__all__ = ["PiVAE", "at_areas", "more_features", "sines"]


@final
@dataclass(frozen=True, eq=False)
class PiVAE:
    """`f(s) = D(z, theta)' Phi(s)` for a Gaussian process at every place of a box.

    The published piVAE fits weights `beta` to draws, `f(s) = beta' Phi(s)`, and a VAE to the
    weights. With cosines for features the weights of least squares over the box are the process's
    projection, whose covariance `M(theta)` is known (`CosineProjection`), so neither draws nor an
    encoder are needed: `D(z, theta) = W2 (g(theta) * (W1 z))` is learnt by regression on the
    symmetric root of `M`. No area takes part in it: all of the box counts alike.

    `W2` is then multiplied into the cosines, so that a decoder at the areas is as large as a
    GatedLinear one.

    Source: Mishra et al. (2022), piVAE: encoding stochastic process priors with variational
    autoencoders, Statistics and Computing 32, for the form.

    Attributes:
        projection: The process, projected on the cosines.
        root: Root of the weights' covariance over the hyperparameters.
        regression: Learns `D` from it.
    """

    projection: CosineProjection
    root: InterpolatedRoot
    regression: Regression
    noise: float = 0.0

    @classmethod
    def prepare(cls, config: PiVAEConfig, process: Process) -> Self:
        """Project the process and interpolate the root of its weights' covariance.

        Raises:
            ProcessError: The process does not exist at every place of a plane.
            AreasError: The map has no centroids.
        """
        weights = config.weights
        assert isinstance(weights, RootWeightsConfig)
        projection = _projection(config, process)
        conditions = process.conditions if config.conditional else ()
        if conditions:
            root = InterpolatedRoot.fit(projection.root, conditions, tolerance=1e-5)
        else:
            root = InterpolatedRoot.fit(lambda _: projection.mixture_root(), ())
        return cls(projection, root, _regression(weights, projection.number, conditions, root))

    @property
    def decoder(self) -> Decoder:
        """Specification of what is learnt, at the areas."""
        inner = self.regression.decoder
        num_areas = len(self.projection.process.areas)
        layers = (*inner.layers[:-1], Dense(num_areas, bias=False))
        return Decoder(inner.latent_dim, num_areas, inner.conditions, layers)

    def build(self, seed: int, weights: dict[str, np.ndarray] | None) -> Solo:
        """Return the trainable decoder of the weights."""
        return self.regression.build(seed, weights)

    def initial(self, seed: int) -> Solo:
        """Return the decoder of the weights as training starts with it."""
        return self.regression.initial(seed)

    def loss(
        self, model: Solo, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the relative mean squared error of the weights' root."""
        return self.regression.loss(model, batch, key)

    def finish(self, weights: Mapping[str, np.ndarray]) -> Finished:
        """Return the decoder at the areas, and the features that continue it between them."""
        exact = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
        last = f"layers.{len(self.regression.decoder.layers) - 1}.kernel"
        features = sines(self.projection, exact.pop(last))
        return at_areas(self.decoder, exact, features, self.projection.process)


def more_features(config: PiVAEConfig, process: Process, factor: float) -> dict[str, Any]:
    """Return the section `features` with `factor` times as many of them, as an update of `config`.

    Raises:
        ProcessError: The process does not exist at every place of a plane.
    """
    features = config.features
    number = features.number
    if isinstance(features, CosineFeaturesConfig):
        number = _projection(config, process).number
    assert isinstance(number, int)
    return {"features": features.model_copy(update={"number": math.ceil(factor * number)})}


def at_areas(
    decoder: Decoder, weights: Mapping[str, np.ndarray], features: FeatureMap, process: Process
) -> Finished:
    """Give a decoder its last layer, whose kernel is the features at the areas, `(feature, area)`.

    Args:
        decoder: Specification of the whole.
        weights: Of the layers before the last, by flat name.
        features: Features of a place.
        process: For its areas.
    """
    assert process.areas.centroids is not None
    values = features.at(process.areas.centroids, process.areas.ids)
    last = f"layers.{len(decoder.layers) - 1}.kernel"
    return Finished(decoder, {**weights, last: np.ascontiguousarray(values.T)}, features)


def sines(projection: CosineProjection, mixed: np.ndarray) -> FeatureMap:
    """Return products of cosines, mixed by `(feature, cosine)`, as layers: dense, sin, dense.

    `cos a cos b = (cos(a + b) + cos(a - b)) / 2`, and `cos a = sin(a + pi / 2)`.
    """
    box, pairs = projection.box, projection.frequencies
    both = (pairs > 0).all(axis=1)
    waves = np.concatenate([pairs, pairs[both] * [1, -1]])
    # x = (u longest / side + 1) / 2, with u as the box gives it and x in [0, 1] over the box.
    per_unit = np.divide(box.sides.max(), box.sides, out=np.zeros(2), where=box.sides > 0)
    size = np.where(pairs > 0, 2**0.5, 1.0).prod(axis=1) / np.where(both, 2.0, 1.0)
    share = np.concatenate([np.diag(size), np.diag(size)[both]])
    network = Decoder(
        2, len(mixed), (), (Dense(len(waves)), Activation("sin"), Dense(len(mixed), bias=False))
    )
    weights = {
        "layers.0.kernel": np.pi / 2 * (waves * per_unit).T,
        "layers.0.bias": np.pi / 2 * (waves.sum(axis=1) + 1.0),
        "layers.2.kernel": share @ mixed.T,
    }
    return FeatureMap.from_layers(network, box, weights)


def _projection(config: PiVAEConfig, process: Process) -> CosineProjection:
    gp = require_continuous(process, "a piVAE")
    features = config.features
    assert isinstance(features, CosineFeaturesConfig)
    number = None if features.number == "auto" else features.number
    return CosineProjection.build(gp, Box.around(process.areas, config.margin), number)


def _regression(
    config: RootWeightsConfig,
    number: int,
    conditions: tuple[Condition, ...],
    root: InterpolatedRoot,
) -> Regression:
    hidden = number + _mixing(number) if config.hidden == "auto" else config.hidden
    layers: tuple[Layer, ...] = (Dense(number, bias=False),)
    if conditions:
        layers = (Dense(hidden, bias=False), Gate(root.degrees), *layers)
    decoder = Decoder(number, number, conditions, layers)

    def solo(seed: int, weights: dict[str, np.ndarray] | None) -> Solo:
        return Solo(DecoderModule(decoder, rngs=nnx.Rngs(seed), weights=weights))

    def start(seed: int) -> dict[str, np.ndarray]:
        return _start(config.sweeps, hidden, root, seed)

    return Regression(decoder, solo, start)


def _mixing(number: int) -> int:
    """Terms of the decoder beyond one for each cosine: as many as on Georgia were enough."""
    return max(-(-number // 4), min(number, 60))


def _start(sweeps: int, hidden: int, root: InterpolatedRoot, seed: int) -> dict[str, np.ndarray]:
    """Fit the gated linear map to the root: each cosine with its own gate, then what mixes them.

    Over a box much larger than the lengthscale the cosines are the eigenfunctions and the first
    are all; the lowest frequencies mix where it is not.
    """
    if not root.degrees:
        return {"layers.0.kernel": root(np.zeros(0)).T}
    roots = np.stack([root(unit) for unit in chebyshev.nodes(root.degrees)])
    alone = np.eye(roots.shape[-1])
    factors = alternating_least_squares(
        roots, hidden, sweeps, np.random.default_rng(seed), basis=(alone, alone)
    )
    return {
        "layers.0.kernel": factors.right.T,
        "layers.1.coefficients": chebyshev.interpolation_matrix(root.degrees) @ factors.gates,
        "layers.2.kernel": factors.left.T,
    }
