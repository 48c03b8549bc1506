"""The weights that training starts from: the symmetric root, or random ones."""

from __future__ import annotations

import numpy as np

from priorvae.config import LearntConfig
from priorvae.decoders.layers import Dense, Gate, Layer, Sum
from priorvae.decoders.spec import Decoder
from priorvae.objectives.shared_tail import core_size, fit_with_shared_tail
from priorvae.objectives.warm_start import (
    Factors,
    alternating_least_squares,
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
    if not isinstance(first, Sum):
        return _gated_weights(config, decoder, decoder.layers, process, seed, "layers.")
    skip, network = first.branches
    last = f"layers.0.1.{max(i for i, layer in enumerate(network) if isinstance(layer, Dense))}"
    shapes = decoder.shapes()
    return {
        **_gated_weights(config, decoder, skip, process, seed, "layers.0.0."),
        **{f"{last}.{name}": np.zeros(shapes[f"{last}.{name}"]) for name in ("kernel", "bias")},
    }


def _gated_weights(
    config: LearntConfig,
    decoder: Decoder,
    layers: tuple[Layer, ...],
    process: Gaussian,
    seed: int,
    prefix: str,
) -> dict[str, np.ndarray]:
    """Fit `left (gate(theta) * right z)` to the process's own root."""
    inner, gate, _ = layers
    assert isinstance(inner, Dense) and isinstance(gate, Gate)
    roots = roots_at(process.root, process.conditions, chebyshev.nodes(gate.degrees))
    factors = _fitted(
        process, roots, inner.units, decoder.latent_dim, config, np.random.default_rng(seed)
    )
    return {
        f"{prefix}0.kernel": factors.right.T,
        f"{prefix}1.coefficients": chebyshev.interpolation_matrix(gate.degrees) @ factors.gates,
        f"{prefix}2.kernel": factors.left.T,
    }


def _fitted(
    process: Gaussian,
    roots: np.ndarray,
    hidden: int,
    latent_dim: int,
    config: LearntConfig,
    rng: np.random.Generator,
) -> Factors:
    _, areas, columns = roots.shape
    square, basis = areas == columns == latent_dim, process.eigenbasis
    # On a small map the whole can be decomposed, to fewer terms if they must be fewer.
    if basis is None and square and core_size(areas) < areas < hidden < 2 * areas:
        return fit_with_shared_tail(roots, hidden - areas, config.warm_start_sweeps, rng)
    directions = leading_directions(roots, latent_dim)
    return alternating_least_squares(
        roots if latent_dim == columns else roots @ directions,
        hidden,
        config.warm_start_sweeps,
        rng,
        basis=None if basis is None else (basis.left, basis.right @ directions),
    )
