"""From a validated configuration and a process to the objective that is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flax import nnx

from priorvae.config import (
    AutoConfig,
    BoundConfig,
    ElboConfig,
    EngressionConfig,
    LearntConfig,
    MMDConfig,
    ModelConfig,
    PiVAEConfig,
    ReferenceConfig,
    RegressionConfig,
    RenyiConfig,
    VAEConfig,
)
from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.spec import Decoder
from priorvae.errors import ConfigError
from priorvae.objectives.axes import latent_axes
from priorvae.objectives.bounds import ELBO, MMD, AutoEncoder, Bound, Renyi
from priorvae.objectives.encoders import DiagonalEncoder, FullEncoder
from priorvae.objectives.engression import engression
from priorvae.objectives.functions import FunctionTable
from priorvae.objectives.implicit import standardise
from priorvae.objectives.networks import given_weights
from priorvae.objectives.objective import Objective
from priorvae.objectives.pivae import PiVAE
from priorvae.objectives.regression import Regression
from priorvae.objectives.solo import Solo
from priorvae.objectives.starts import warm_weights
from priorvae.objectives.structures import build_decoder, has_own_gates, hidden_widths
from priorvae.objectives.vae import VAE
from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.pilot import Pilot, pilot

__all__ = ["build_objective"]


def build_objective(config: ModelConfig, process: Process) -> Objective:
    """Build the decoder's specification and the means to start and train it.

    A `PriorVAE` integrates the hyperparameters out: its decoder has no conditions. A `PriorCVAE`
    gives them to encoder and decoder alike; an `aggVAE` does either. `DeepRV` and `GatedLinear`
    have no encoder. A `piVAE` decodes weights of features of a place.

    Raises:
        ConfigError: The type is not learnt.
        ProcessError: The structure, its warm start or the objective needs a covariance, which the
            process has not; or one of its values never varies.
    """
    match config:
        case VAEConfig():
            return _vae(config, process)
        case RegressionConfig():
            return _regression(config, process)
        case EngressionConfig():
            return engression(config, process)
        case PiVAEConfig():
            learnt = PiVAE if config.features.kind == "cosine" else FunctionTable
            return learnt.prepare(config, process)
        case ReferenceConfig():
            raise ConfigError("model.type: a reference decoder is not trained; use another type")
        case AutoConfig():
            raise ConfigError(
                "model.type: auto is a choice yet to be made, which `priorvae train` makes; give a "
                "type here, or the config.yaml of a run"
            )


def _vae(config: VAEConfig, process: Process) -> VAE:
    conditions = process.conditions if config.is_conditional else ()
    decoder = build_decoder(config, process, conditions)
    moments = pilot(process)
    variance = _likelihood_variance(config, moments)
    noise = variance if config.noisy_draws else 0.0
    bound = _bound(config.bound, moments, noise)

    def pair(seed: int, weights: dict[str, np.ndarray] | None) -> AutoEncoder:
        rngs = nnx.Rngs(seed)
        module = DecoderModule(decoder, rngs=rngs, weights=weights)
        model = AutoEncoder(_encoder(config, decoder, variance, weights, rngs), module)
        return model if isinstance(process, Gaussian) else standardise(model, moments)

    return VAE(decoder, variance, config.noisy_draws, bound, pair, _start(config, decoder, process))


def _bound(config: BoundConfig, moments: Pilot, noise: float) -> Bound:
    match config:
        case ElboConfig():
            return ELBO()
        case RenyiConfig():
            return Renyi(config.alpha, config.samples)
        case MMDConfig():
            chosen = config.model_dump(exclude={"kind"})
            if config.lengthscale == "auto":
                # The mean squared distance of two independent draws is twice their total variance.
                chosen["lengthscale"] = float(np.sqrt(2 * (moments.variance + noise).sum()))
            return MMD(**chosen)


def _regression(config: RegressionConfig, process: Process) -> Regression:
    gaussian = require_gaussian(process, f"a {config.type}, which learns a root,")
    decoder = build_decoder(config, process, process.conditions)
    given = given_weights(decoder, process)

    def solo(seed: int, weights: dict[str, np.ndarray] | None) -> Solo:
        known = {**given, **(weights or {})}
        return Solo(DecoderModule(decoder, rngs=nnx.Rngs(seed), weights=known))

    axes = latent_axes(gaussian, config.root) if has_own_gates(decoder) else None
    return Regression(decoder, solo, _start(config, decoder, process), axes=axes)


def _start(
    config: LearntConfig, decoder: Decoder, process: Process
) -> Callable[[int], dict[str, np.ndarray] | None]:
    return lambda seed: warm_weights(config, decoder, process, seed)


def _likelihood_variance(config: VAEConfig, moments: Pilot) -> float:
    """Return `s^2`: the configured number times the mean marginal variance at mid-range."""
    return config.likelihood_variance * float(moments.variance.mean())


def _encoder(
    config: VAEConfig,
    decoder: Decoder,
    variance: float,
    weights: dict[str, np.ndarray] | None,
    rngs: nnx.Rngs,
) -> FullEncoder | DiagonalEncoder:
    if config.encoder == "full":
        return FullEncoder(decoder, variance, rngs=rngs, weights=weights)
    return DiagonalEncoder(
        decoder.num_areas,
        len(decoder.conditions),
        hidden_widths(config, decoder.num_areas)[::-1],
        decoder.latent_dim,
        config.activation,
        rngs=rngs,
    )
