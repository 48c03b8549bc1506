"""Networks over areas: gated MLPs and kernel attention, with a token for every value of a field."""

from __future__ import annotations

import numpy as np

from priorvae.config import RegressionConfig
from priorvae.decoders.layers import (
    Activation,
    Dense,
    Flatten,
    KernelAttention,
    Layer,
    LayerNorm,
    SpatialGate,
    Sum,
    Tokens,
)
from priorvae.decoders.spec import Decoder
from priorvae.errors import ProcessError
from priorvae.processes.base import Process

__all__ = ["given_weights", "token_network"]

DEFAULT_WIDTHS = (64, 128)
"""Channels between blocks and within them, as in the code of Navott et al. (2025)."""

DEFAULT_HEADS = 4

NEAREST, FURTHEST = 0.05, 0.5
"""Lengthscales that the heads of an attention start at, between these shares of the map."""

STRENGTH = 5.0
"""What an area's own score exceeds a distant one's by, at the start."""


def token_network(
    config: RegressionConfig, process: Process, degrees: tuple[int, ...]
) -> tuple[Layer, ...]:
    """Return a network that maps one latent a value of the field to that value.

    Every value is a token of its latent, its place and the conditions. Residual blocks mix over the
    tokens: `gmlp` by a spatial gating unit, `attention` by a kernel of the distance; in between,
    dense layers see each token alone.

    Source: Liu et al. (2021), Pay attention to MLPs, NeurIPS, for the block; Navott et al. (2025),
    DeepRV, for its use as a decoder.

    Args:
        config: A `gmlp` or an `attention`.
        process: What is learnt, on a map with centroids.
        degrees: Chebyshev degree in each condition, for what the conditions modulate.

    Raises:
        ProcessError: The map has no centroids.
    """
    blocks = config.token_blocks
    assert blocks is not None
    size, places = _places(process).shape
    outer, inner = _widths(config)
    activation = Activation(config.activation)
    deeper = blocks.projection_layers - 1

    def project(width: int) -> tuple[Layer, ...]:
        """One dense layer, or two with an activation between them."""
        return (Dense(width), *(activation, Dense(width)) * deeper)

    def gated_block() -> tuple[Layer, ...]:
        widen = (Dense(inner), activation, *(Dense(inner),) * deeper)
        return (LayerNorm(), *widen, SpatialGate(size, normalise=True), *project(outer))

    def attention_block() -> tuple[Layer, ...]:
        mixing = KernelAttention(size, places, blocks.heads or DEFAULT_HEADS, degrees)
        inside = (LayerNorm(), Dense(inner), activation, Dense(outer))
        return (Sum(((), (LayerNorm(), *project(outer), mixing))), Sum(((), inside)))

    block = (Sum(((), gated_block())),) if config.structure == "gmlp" else attention_block()
    head = (Dense(inner), activation) * deeper
    return (
        Tokens(size, places), *project(outer), *block * blocks.blocks,
        LayerNorm(), *head, Dense(1), Flatten(size),
    )  # fmt: skip


def given_weights(decoder: Decoder, process: Process) -> dict[str, np.ndarray]:
    """Return what a network over areas is given: the places, and where its attention starts.

    The places are constants; strengths and decays of an attention are parameters, which start at a
    range of lengthscales.
    """
    found = {}
    for name, shape in decoder.shapes().items():
        if name.endswith(".places"):
            found[name] = _places(process)
        elif name.endswith(".strength"):
            found[name] = _constant_series(shape, np.full(shape[1], np.log(STRENGTH)))
        elif name.endswith(".decay"):
            lengthscales = np.geomspace(NEAREST, FURTHEST, shape[1])
            found[name] = _constant_series(shape, -np.log(2 * lengthscales**2))
    return found


def _widths(config: RegressionConfig) -> tuple[int, int]:
    if config.hidden == "auto":
        return DEFAULT_WIDTHS
    if isinstance(config.hidden, tuple):
        outer, inner = config.hidden
        return outer, inner
    return config.hidden, 2 * config.hidden


def _places(process: Process) -> np.ndarray:
    """Return a place for every value of a field, in a box whose longest side is one.

    Raises:
        ProcessError: The map has no centroids.
    """
    centroids = process.areas.centroids
    if centroids is None:
        raise ProcessError(
            f"a network over areas needs their places, and {process.areas.provenance.source} is an "
            "adjacency alone; use another model.structure, or a boundary file"
        )
    span = np.ptp(centroids, axis=0).max()
    places = (centroids - centroids.min(axis=0)) / (span if span > 0 else 1.0)
    if process.layers is None:
        return places
    depth = np.linspace(0, 1, process.num_layers)
    return np.hstack(
        [np.tile(places, (process.num_layers, 1)), np.repeat(depth, len(places))[:, None]]
    )


def _constant_series(shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    series = np.zeros(shape)
    series[0] = values
    return series
