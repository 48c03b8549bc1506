"""Which layers a decoder has: the structures of the configuration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from priorvae.config import LearntConfig, RegressionConfig, VAEConfig
from priorvae.decoders.layers import Activation, ConcatCondition, Dense, FiLM, Gate, Layer, Sum
from priorvae.decoders.spec import Decoder
from priorvae.errors import ProcessError
from priorvae.objectives.axes import has_axes
from priorvae.objectives.networks import token_network
from priorvae.objectives.shared_tail import core_size, default_width
from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.conditions import Condition
from priorvae.processes.roots import InterpolatedRoot, symmetric_root

__all__ = ["build_decoder", "has_own_gates", "hidden_widths", "widths"]

LARGEST_FILM_DEGREE = 5
"""What modulates a network's features need not follow a root to its last digit."""


def build_decoder(
    config: LearntConfig, process: Process, conditions: tuple[Condition, ...]
) -> Decoder:
    """Return the decoder that a configuration describes, apart from its weights.

    - `gated-linear`: `f = A (g(theta) * z) + C (h(theta) * (B z))`, `hidden` gates in all, one of
      them each latent's own; with fewer than latents, `f = C (h(theta) * (B z))`. `f = W z` without
      conditions.
    - `mlp`: dense layers on `[z, u]`, as published.
    - `film-mlp`: a gated linear map plus a network whose features the conditions modulate.
    - `gmlp`, `attention`: a network over areas, beside a gated linear map or alone.

    Raises:
        ProcessError: A gated linear map is asked for, and the process has no covariance; or a
            network over areas, and the map has no centroids or the root not one latent a value.
    """
    make = {
        "gated-linear": _gated_linear,
        "mlp": _mlp,
        "film-mlp": _film_mlp,
        "gmlp": _over_areas,
        "attention": _over_areas,
    }[config.structure]
    layers = make(config, process, conditions)
    return Decoder(_latent_dim(config, process, conditions), process.size, conditions, layers)


def has_own_gates(decoder: Decoder) -> bool:
    """Return whether each latent has a gate of its own."""
    first = decoder.layers[0]
    branches = first.branches if isinstance(first, Sum) else (decoder.layers,)
    return any(isinstance(branch[0], Gate) for branch in branches if branch)


def hidden_widths(config: LearntConfig, default: int) -> tuple[int, ...]:
    """Return the configured widths, or one of the default."""
    if config.hidden == "auto":
        return (default,)
    return config.hidden if isinstance(config.hidden, tuple) else (config.hidden,)


def widths(config: LearntConfig, process: Process) -> tuple[int, ...]:
    """Return a decoder's hidden widths, configured or by default; none where it has none to choose.

    A network over areas chooses its own, unless they are configured.
    """
    match config.structure:
        case "mlp":
            return hidden_widths(config, process.size)
        case "film-mlp":
            return hidden_widths(config, 2 * process.size)
        case "gated-linear" if isinstance(process, Gaussian) and _has_gate(config, process):
            return hidden_widths(config, _default_width(process))
    return () if config.hidden == "auto" else hidden_widths(config, 0)


def _has_gate(config: LearntConfig, process: Gaussian) -> bool:
    """Return whether a gated linear decoder has conditions: without them it is one matrix."""
    integrated = isinstance(config, VAEConfig) and not config.is_conditional
    return bool(process.conditions) and not integrated


def _latent_dim(config: LearntConfig, process: Process, conditions: tuple[Condition, ...]) -> int:
    """Return the configured number; else one a value, or what the process's own root takes.

    A root that is smooth in the hyperparameters may have more columns than rows, or fewer.
    """
    if config.latent_dim != "auto":
        return config.latent_dim
    if isinstance(config, RegressionConfig) and config.root == "cholesky":
        return process.size
    pairs_latents = isinstance(config, RegressionConfig)  # with the columns of a root
    if not pairs_latents and (config.structure == "mlp" or not conditions):
        return process.size
    gaussian = require_gaussian(process, f"a {config.structure} decoder")
    if gaussian.eigenbasis is not None:
        return gaussian.eigenbasis.right.shape[1]
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    return gaussian.root(middle).shape[1]


def _gated_linear(
    config: LearntConfig, process: Process, conditions: tuple[Condition, ...]
) -> tuple[Layer, ...]:
    if not conditions:
        return (Dense(process.size, bias=False),)
    gaussian = require_gaussian(process, "a gated-linear decoder")
    latents = _latent_dim(config, process, conditions)
    branches = _gated(gaussian, latents, widths(config, gaussian)[0])
    return branches[0] if len(branches) == 1 else (Sum(branches),)


def _mlp(
    config: LearntConfig, process: Process, conditions: tuple[Condition, ...]
) -> tuple[Layer, ...]:
    layers: list[Layer] = [ConcatCondition()] if conditions else []
    for width in widths(config, process):
        layers += [Dense(width), Activation(config.activation)]
    return (*layers, Dense(process.size))


def _film_mlp(
    config: LearntConfig, process: Process, conditions: tuple[Condition, ...]
) -> tuple[Layer, ...]:
    gaussian = require_gaussian(process, "a film-mlp decoder")
    latents = _latent_dim(config, process, conditions)
    skip = _gated(gaussian, latents, _default_width(gaussian))
    degrees = tuple(min(k, LARGEST_FILM_DEGREE) for k in _gate_degrees(gaussian))
    network: list[Layer] = []
    for width in widths(config, process):
        network += [Dense(width), FiLM(degrees), Activation(config.activation)]
    return (Sum((*skip, (*network, Dense(process.size)))),)


def _over_areas(
    config: LearntConfig, process: Process, conditions: tuple[Condition, ...]
) -> tuple[Layer, ...]:
    assert isinstance(config, RegressionConfig) and config.token_blocks is not None
    gaussian = require_gaussian(process, f"a {config.structure} decoder")
    if (latents := _latent_dim(config, process, conditions)) != process.size:
        raise ProcessError(
            f"a {config.structure} takes one latent for each of the {process.size} values of a "
            f"field, and the root of this {process.kind} has {latents}; use `structure: film-mlp`"
        )
    degrees = tuple(min(k, LARGEST_FILM_DEGREE) for k in _gate_degrees(gaussian))
    network = token_network(config, process, degrees)
    if config.token_blocks.skip == "none":
        return network
    # A token is an area's own latent: turned onto axes it would be no area's, so has no gate.
    return (Sum((_mixing(gaussian, _default_width(gaussian)), network)),)


def _gated(process: Gaussian, latents: int, width: int) -> tuple[tuple[Layer, ...], ...]:
    """Return a gated linear map's branches: each latent by itself, and terms that mix them."""
    if width < latents or not has_axes(process):
        return (_mixing(process, width),)
    alone = (Gate(_gate_degrees(process)), Dense(process.size, bias=False))
    if width == latents:
        return (alone,)
    return (alone, _mixing(process, width - latents))


def _mixing(process: Gaussian, width: int) -> tuple[Layer, ...]:
    gate = Gate(_gate_degrees(process))
    return (Dense(width, bias=False), gate, Dense(process.size, bias=False))


def _default_width(process: Gaussian) -> int:
    """Eigenvectors shared by all hyperparameters need one gate each; turning ones more."""
    basis = process.eigenbasis
    return default_width(process.size) if basis is None else len(basis.right)


def _gate_degrees(process: Gaussian) -> tuple[int, ...]:
    """Return the degree at which the root itself is interpolated to 1e-5.

    On a large map the root of the covariance of some of its areas tells: how fast a root turns
    hardly depends on their number.
    """
    if process.size <= core_size(process.size):
        return InterpolatedRoot.fit(process.root, process.conditions, tolerance=1e-5).degrees
    some = np.linspace(0, process.size - 1, core_size(process.size)).astype(int)

    def root(hyper: Mapping[str, float]) -> np.ndarray:
        return symmetric_root(process.covariance(hyper)[np.ix_(some, some)])

    return InterpolatedRoot.fit(root, process.conditions, tolerance=1e-5).degrees
