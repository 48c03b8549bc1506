"""Engression: a decoder alone, trained on draws by the energy score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from priorvae.config import EngressionConfig
from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.layers import Activation, Dense, FiLM, Gate, Layer, Sum
from priorvae.decoders.spec import Decoder
from priorvae.errors import ProcessError
from priorvae.objectives.objective import Batch
from priorvae.objectives.solo import Solo, SoloObjective
from priorvae.objectives.standin import StandIn
from priorvae.objectives.warm_start import alternating_least_squares, leading_directions
from priorvae.processes import chebyshev
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.pilot import pilot
from priorvae.processes.roots import symmetric_root

__all__ = ["EnergyScore", "energy_distance", "engression"]

EXACT_DEGREE, DRAWN_DEGREE, SEVERAL = 7, 5, 3
"""Chebyshev degree in a condition: of exact moments, of moments from draws, and of three conditions
or more, whose nodes multiply."""

_SMALLEST_SQUARE = 1e-12
"""Squared distance below which its root's slope would be too steep for float32."""


@final
@dataclass(frozen=True)
class EnergyScore(SoloObjective):
    """The energy distance of decoder and draws given theta, relative to that between draws.

    `2 E|x - y| - E|x - x'| - E|y - y'|` over `E|y - y'|`, with x decoded from fresh normals and y
    drawn from the process, estimated without bias among the draws that share their theta. The
    energy score is strictly proper: nothing but the process's own distribution given theta
    minimises it. There is no likelihood and hence none whose variance would shrink the decoder, and
    no encoder.

    Source: Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation,
    JASA 102, section 4.3; Shen and Meinshausen (2024), Engression: extrapolation through the lens
    of distributional regression, JRSS B 87, for networks of noise and covariates trained by it.
    """

    def loss(
        self, model: Solo, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the relative energy distance, averaged over theta."""
        shape = (*batch.draws.shape[:2], self.decoder.latent_dim)
        latents = jax.random.normal(key, shape, batch.draws.dtype)
        fields = jax.vmap(model.decoder)(latents, batch.unit)
        relative = jnp.mean(jax.vmap(energy_distance)(fields, batch.draws))
        return relative, {"energy_distance": relative}


def energy_distance(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return the unbiased energy distance over the mean distance within `second`.

    Args:
        first: Draws `(draw, area)`.
        second: Draws `(draw, area)`, independent of the first.
    """
    within = _mean_distance(second, second, same=True)
    across = 2 * _mean_distance(first, second, same=False)
    return (across - _mean_distance(first, first, same=True) - within) / within


def _mean_distance(first: jax.Array, second: jax.Array, *, same: bool) -> jax.Array:
    squares = jnp.sum(first**2, axis=-1)[:, None] + jnp.sum(second**2, axis=-1)
    squares = squares - 2 * first @ second.T
    others = ~jnp.eye(len(first), dtype=bool) if same else jnp.ones(squares.shape, dtype=bool)
    # Where a pair is left out, the root must have a slope all the same.
    distances = jnp.sqrt(jnp.where(others, jnp.maximum(squares, _SMALLEST_SQUARE), 1.0))
    return jnp.sum(jnp.where(others, distances, 0.0)) / jnp.sum(others)


def engression(config: EngressionConfig, process: Process) -> EnergyScore:
    """Build the decoder's specification and the means to start and train it.

    The decoder is `output(m(theta) + s(theta) * W2 (g(theta) * (W1 z)))`; `film-mlp` adds a network
    to the linear map. It starts as the Gaussian stand-in of the process, put through `output`.

    Raises:
        ProcessError: The process is Gaussian, and `output` is not `identity`; or one of its values
            never varies.
    """
    if isinstance(process, Gaussian) and config.output != "identity":
        raise ProcessError(
            f"model.output: a Gaussian process takes every value, so that `output` must be "
            f"`identity` (got {config.output!r})"
        )
    pilot(process)  # refuses a value that never varies, before anything is trained
    standin = StandIn(process, config.output, config.warm_start_draws)
    decoder = _decoder(config, process, _degrees(standin))

    def solo(seed: int, weights: dict[str, np.ndarray] | None) -> Solo:
        return Solo(DecoderModule(decoder, rngs=nnx.Rngs(seed), weights=weights))

    return EnergyScore(decoder, solo, lambda seed: _start(config, decoder, standin, seed))


def _degrees(standin: StandIn) -> tuple[int, ...]:
    conditions = standin.process.conditions
    smooth = EXACT_DEGREE if standin.exact else DRAWN_DEGREE
    if len(conditions) > 2:
        smooth = SEVERAL
    return tuple(len(c.labels) - 1 if c.labels else smooth for c in conditions)


def _decoder(config: EngressionConfig, process: Process, degrees: tuple[int, ...]) -> Decoder:
    alone = config.structure == "gated-linear"
    width = 2 * process.size
    if alone and isinstance(config.hidden, int):
        width = config.hidden
    linear: tuple[Layer, ...] = (Dense(width, False), Gate(degrees), Dense(process.size, False))
    layers = linear if alone else (Sum((linear, _network(config, process, degrees))),)
    last = () if config.output == "identity" else (Activation(config.output),)
    latent_dim = process.size if config.latent_dim == "auto" else config.latent_dim
    layers = (*layers, FiLM(degrees), *last)
    return Decoder(latent_dim, process.size, process.conditions, layers)


def _network(
    config: EngressionConfig, process: Process, degrees: tuple[int, ...]
) -> tuple[Layer, ...]:
    hidden = 2 * process.size if config.hidden == "auto" else config.hidden
    layers: list[Layer] = []
    for width in hidden if isinstance(hidden, tuple) else (hidden,):
        layers += [Dense(width), FiLM(degrees), Activation(config.activation)]
    return (*layers, Dense(process.size))


def _start(
    config: EngressionConfig, decoder: Decoder, standin: StandIn, seed: int
) -> dict[str, np.ndarray] | None:
    """Return the weights of the stand-in: its root and mean interpolated, the network at zero."""
    if config.warm_start == "none":
        return None
    offset, degrees = _offset(decoder)
    moments = [standin.moments(hyper) for hyper in _hypers(decoder, chebyshev.nodes(degrees))]
    series = chebyshev.interpolation_matrix(degrees)
    means = np.stack([each.mean for each in moments])
    roots = np.stack([symmetric_root(each.covariance) for each in moments])
    # Of one size, so that a theta with a small variance is met as closely as any other.
    sizes = np.linalg.norm(roots, axis=(1, 2)) / decoder.num_areas**0.5
    weights = _linear_start(config, decoder, roots / sizes[:, None, None], series, seed)
    return {
        **weights,
        f"layers.{offset}.scale": series @ np.broadcast_to(sizes[:, None], means.shape),
        f"layers.{offset}.shift": series @ means,
    }


def _offset(decoder: Decoder) -> tuple[int, tuple[int, ...]]:
    """Return the place of the layer that moves and scales the whole field, and its degrees."""
    for place, layer in enumerate(decoder.layers):
        if isinstance(layer, FiLM):
            return place, layer.degrees
    raise AssertionError("an Engression has such a layer")


def _hypers(decoder: Decoder, nodes: np.ndarray) -> list[dict[str, float]]:
    conditions = decoder.conditions
    return [
        {c.name: float(c.from_unit(u)) for c, u in zip(conditions, node, strict=True)}
        for node in nodes
    ]


def _linear_start(
    config: EngressionConfig, decoder: Decoder, roots: np.ndarray, series: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Fit the gated linear map to roots at the nodes; a network beside it starts at zero."""
    first, shapes = decoder.layers[0], decoder.shapes()
    prefix = "layers.0.0." if isinstance(first, Sum) else "layers."
    factors = alternating_least_squares(
        roots @ leading_directions(roots, decoder.latent_dim),
        hidden=shapes[f"{prefix}0.kernel"][1],
        sweeps=config.warm_start_sweeps,
        rng=np.random.default_rng(seed),
    )
    weights = {
        f"{prefix}0.kernel": factors.right.T,
        f"{prefix}1.coefficients": series @ factors.gates,
        f"{prefix}2.kernel": factors.left.T,
    }
    if isinstance(first, Sum):
        last = f"layers.0.1.{len(first.branches[1]) - 1}"
        weights |= {f"{last}.{k}": np.zeros(shapes[f"{last}.{k}"]) for k in ("kernel", "bias")}
    return weights
