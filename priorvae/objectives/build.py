"""From a validated configuration and a process to the objective that is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from flax import nnx

from priorvae.config import ModelConfig
from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.layers import Activation, ConcatCondition, Dense, Gate, Layer
from priorvae.decoders.spec import Decoder
from priorvae.objectives.encoders import DiagonalEncoder, FullEncoder
from priorvae.objectives.implicit import standardise
from priorvae.objectives.vae import VAE, AutoEncoder
from priorvae.objectives.warm_start import (
    alternating_least_squares,
    leading_columns,
    leading_directions,
)
from priorvae.processes import chebyshev
from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.conditions import Condition
from priorvae.processes.mixture import mixture_covariance
from priorvae.processes.pilot import Pilot, pilot
from priorvae.processes.roots import InterpolatedRoot, roots_at, symmetric_root

__all__ = ["build_objective"]


def build_objective(config: ModelConfig, process: Process) -> VAE:
    """Build the decoder's specification and the means to start and train it.

    A `PriorVAE` integrates the hyperparameters out: its decoder has no conditions. A `PriorCVAE`
    gives them to encoder and decoder alike.

    Raises:
        ProcessError: The structure or its warm start needs a covariance, which the process has not;
            or one of its values never varies.
    """
    conditions = process.conditions if config.type == "PriorCVAE" else ()
    n = process.size
    latent_dim = _latent_dim(config, process)
    degrees = _gate_degrees(process) if conditions and config.structure == "gated-linear" else ()
    layers = _layers(config, process, conditions, degrees)
    decoder = Decoder(latent_dim, n, conditions, layers)
    moments = pilot(process)
    variance = _likelihood_variance(config, moments)

    def build(seed: int, weights: dict[str, np.ndarray] | None) -> AutoEncoder:
        rngs = nnx.Rngs(seed)
        module = DecoderModule(decoder, rngs=rngs, weights=weights)
        model = AutoEncoder(_encoder(config, decoder, variance, weights, rngs), module)
        return model if isinstance(process, Gaussian) else standardise(model, moments)

    def start(seed: int) -> dict[str, np.ndarray] | None:
        return _warm_weights(config, decoder, process, seed)

    return VAE(decoder, variance, config.noisy_draws, build, start)


def _latent_dim(config: ModelConfig, process: Process) -> int:
    """Return the configured number; else one a value, or what the process's own root takes.

    A root that is smooth in the hyperparameters may have more columns than rows, or fewer.
    """
    if config.latent_dim != "auto":
        return config.latent_dim
    if config.type != "PriorCVAE" or config.structure != "gated-linear" or not process.conditions:
        return process.size
    gaussian = require_gaussian(process, "a gated-linear decoder")
    if gaussian.eigenbasis is not None:
        return gaussian.eigenbasis.right.shape[1]
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    return gaussian.root(middle).shape[1]


def _likelihood_variance(config: ModelConfig, moments: Pilot) -> float:
    """Return `s^2`: the configured number times the mean marginal variance at mid-range."""
    return config.likelihood_variance * float(moments.variance.mean())


def _layers(
    config: ModelConfig,
    process: Process,
    conditions: tuple[Condition, ...],
    degrees: tuple[int, ...],
) -> tuple[Layer, ...]:
    n = process.size
    if config.structure == "mlp":
        hidden: list[Layer] = [ConcatCondition()] if conditions else []
        for width in _widths(config, n):
            hidden += [Dense(width), Activation(config.activation)]
        return (*hidden, Dense(n))
    if not conditions:
        return (Dense(n, bias=False),)
    # Eigenvectors shared by all hyperparameters need one gate each; turning ones about two.
    basis = require_gaussian(process, "a gated-linear decoder").eigenbasis
    default = 2 * n if basis is None else len(basis.right)
    return (Dense(_widths(config, default)[0], bias=False), Gate(degrees), Dense(n, bias=False))


def _widths(config: ModelConfig, default: int) -> tuple[int, ...]:
    if config.hidden == "auto":
        return (default,)
    return config.hidden if isinstance(config.hidden, tuple) else (config.hidden,)


def _gate_degrees(process: Process) -> tuple[int, ...]:
    """Return the degree at which the root itself is interpolated to 1e-5."""
    process = require_gaussian(process, "a gated-linear decoder")
    return InterpolatedRoot.fit(process.root, process.conditions, tolerance=1e-5).degrees


def _warm_weights(
    config: ModelConfig, decoder: Decoder, process: Process, seed: int
) -> dict[str, np.ndarray] | None:
    if config.warm_start == "none":
        return None
    process = require_gaussian(process, "a warm start")
    if not decoder.conditions:
        root = symmetric_root(mixture_covariance(process))
        return {"layers.0.kernel": leading_columns(root[None], decoder.latent_dim)[0].T}
    degrees: tuple[int, ...] = decoder.layers[1].degrees  # type: ignore[attr-defined]
    roots = roots_at(process.root, process.conditions, chebyshev.nodes(degrees))
    directions = leading_directions(roots, decoder.latent_dim)
    basis = process.eigenbasis
    factors = alternating_least_squares(
        roots if decoder.latent_dim == roots.shape[-1] else roots @ directions,
        hidden=decoder.widths[1],
        sweeps=config.warm_start_sweeps,
        rng=np.random.default_rng(seed),
        basis=None if basis is None else (basis.left, basis.right @ directions),
    )
    return {
        "layers.0.kernel": factors.right.T,
        "layers.1.coefficients": chebyshev.interpolation_matrix(degrees) @ factors.gates,
        "layers.2.kernel": factors.left.T,
    }


def _encoder(
    config: ModelConfig,
    decoder: Decoder,
    variance: float,
    weights: dict[str, np.ndarray] | None,
    rngs: nnx.Rngs,
) -> Any:
    if config.encoder == "full":
        return FullEncoder(decoder, variance, rngs=rngs, weights=weights)
    return DiagonalEncoder(
        decoder.num_areas,
        len(decoder.conditions),
        _widths(config, decoder.num_areas)[::-1],
        decoder.latent_dim,
        config.activation,
        rngs=rngs,
    )
