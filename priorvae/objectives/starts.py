"""The weights that training starts from: the symmetric root, or random ones."""

from __future__ import annotations

import numpy as np

from priorvae.config import LearntConfig
from priorvae.decoders.layers import Dense, Gate, Layer, Sum
from priorvae.decoders.spec import Decoder
from priorvae.objectives.axes import has_axes, latent_axes
from priorvae.objectives.shared_tail import core_size, fit_with_shared_tail
from priorvae.objectives.warm_start import (
    Factors,
    alternating_least_squares,
    fit_own_gates,
    leading_columns,
    leading_directions,
)
from priorvae.processes import chebyshev
from priorvae.processes.base import Gaussian, Process, require_gaussian
from priorvae.processes.mixture import mixture_covariance
from priorvae.processes.roots import roots_at, symmetric_root

__all__ = ["warm_weights"]


def warm_weights(
    config: LearntConfig, decoder: Decoder, process: Process, seed: int
) -> dict[str, np.ndarray] | None:
    """Return the weights to start with, by flat name; None to start at random.

    A network beside a gated linear map starts with its last dense layer at zero: as that map alone.

    Raises:
        ProcessError: A warm start is asked for, and the process has no covariance.
    """
    if config.warm_start == "none":
        return None
    process = require_gaussian(process, "a warm start")
    if not decoder.conditions:
        alone = not process.conditions
        root = process.root({}) if alone else symmetric_root(mixture_covariance(process))
        return {"layers.0.kernel": leading_columns(root[None], decoder.latent_dim)[0].T}
    first = decoder.layers[0]
    branches = first.branches if isinstance(first, Sum) else (decoder.layers,)
    prefixes = (
        [f"layers.0.{i}." for i in range(len(branches))] if len(branches) > 1 else ["layers."]
    )
    networks = [i for i, branch in enumerate(branches) if not _is_gated(branch)]
    linear = {p: branch for p, branch in zip(prefixes, branches, strict=True) if _is_gated(branch)}
    return {
        **_gated_weights(config, decoder, linear, process, seed),
        **_silenced(decoder, [(prefixes[i], branches[i]) for i in networks]),
    }


def _is_gated(layers: tuple[Layer, ...]) -> bool:
    return all(isinstance(layer, Gate) or layer.is_linear for layer in layers)


def _silenced(
    decoder: Decoder, networks: list[tuple[str, tuple[Layer, ...]]]
) -> dict[str, np.ndarray]:
    """Return zeros for the last dense layer of each network."""
    shapes = decoder.shapes()
    lasts = [
        f"{prefix}{max(i for i, layer in enumerate(network) if isinstance(layer, Dense))}"
        for prefix, network in networks
    ]
    return {
        f"{last}.{name}": np.zeros(shapes[f"{last}.{name}"])
        for last in lasts
        for name in ("kernel", "bias")
    }


def _gated_weights(
    config: LearntConfig,
    decoder: Decoder,
    branches: dict[str, tuple[Layer, ...]],
    process: Gaussian,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit a gated linear map, its branches by their prefix, to the process's own root."""
    gate = next(
        layer for layers in branches.values() for layer in layers if isinstance(layer, Gate)
    )
    series = chebyshev.interpolation_matrix(gate.degrees)
    roots = roots_at(process.root, process.conditions, chebyshev.nodes(gate.degrees))
    mixing = [layers[0].units for layers in branches.values() if isinstance(layers[0], Dense)]
    own = len(mixing) < len(branches)
    hidden = sum(mixing) + (decoder.latent_dim if own else 0)
    factors = _fitted(config, process, roots, hidden, decoder.latent_dim, seed, own)
    found, start = {}, 0
    for prefix, layers in branches.items():
        alone = isinstance(layers[0], Gate)
        stop = start + (decoder.latent_dim if alone else mixing[0])
        at = 0 if alone else 1
        if not alone:
            found[f"{prefix}0.kernel"] = factors.right[start:stop].T
        found[f"{prefix}{at}.coefficients"] = series @ factors.gates[:, start:stop]
        found[f"{prefix}{at + 1}.kernel"] = factors.left[:, start:stop].T
        start = stop
    return found


def _fitted(
    config: LearntConfig,
    process: Gaussian,
    roots: np.ndarray,
    hidden: int,
    latent_dim: int,
    seed: int,
    own: bool,
) -> Factors:
    """Fit gated terms to roots: along the axes of the latents where they can lie along any.

    Where the decoder has no gates of the latents' own, the terms are turned back from the axes.
    """
    _, areas, columns = roots.shape
    sweeps, rng = config.warm_start_sweeps, np.random.default_rng(seed)
    if hidden < latent_dim or not has_axes(process):
        return _without_axes(process, roots, hidden, latent_dim, sweeps, rng)
    if latent_dim < columns:
        return fit_own_gates(roots @ leading_directions(roots, latent_dim), hidden, sweeps, rng)
    axes = latent_axes(process)
    if areas == columns and core_size(areas) < areas:
        factors = fit_with_shared_tail(roots, axes, hidden, sweeps, rng, core_size(areas))
    else:
        factors = fit_own_gates(roots @ axes, hidden, sweeps, rng)
    return factors if own else factors._replace(right=factors.right @ axes.T)


def _without_axes(
    process: Gaussian,
    roots: np.ndarray,
    hidden: int,
    latent_dim: int,
    sweeps: int,
    rng: np.random.Generator,
) -> Factors:
    basis, directions = process.eigenbasis, leading_directions(roots, latent_dim)
    return alternating_least_squares(
        roots if latent_dim == roots.shape[-1] else roots @ directions,
        hidden,
        sweeps,
        rng,
        basis=None if basis is None else (basis.left, basis.right @ directions),
    )
