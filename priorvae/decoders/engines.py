"""Which engines can run a decoder efficiently: what a gradient costs, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from priorvae.decoders.layers import Flatten, KernelAttention, Layer, SpatialGate, Sum, Tokens
from priorvae.decoders.spec import Decoder

__all__ = ["EngineNote", "engine_notes", "multiplications"]

COMPILED = ("numpyro", "pymc")
"""Engines that compile the decoder as a whole."""

TAPED = ("stan", "brms")
"""Engines that record every gradient's operations anew."""

FACTORISATION = 0.5
"""What an exact gradient costs over n^3 multiplications of a decoder, measured at 159 to 1,500
areas on one core: there it takes as long as 92 to 520 products of an n x n matrix and a vector."""

MATRIX_GAIN = 3
"""How much faster a compiled engine multiplies where areas are rows of one matrix. With it the
share of an exact gradient is right to a factor of two, measured from perceptrons to gated ones."""

STAN_RATE = 131_000 / 42
"""Multiplications of a decoder for each second of 2 x 1000 iterations with rstan at 256 areas: a
multilayer perceptron of 131 thousand took 42 s, a gated one of 28 million 138 minutes."""

STAN_MINUTES = 10
"""Longest such run that is called efficient."""

KERNEL_ENTRY = 8
"""Multiplications that an exponential and its share of a softmax count as."""


class EngineNote(NamedTuple):
    """What running a decoder in one engine is like."""

    engine: str
    """`numpyro`, `pymc`, `stan` or `brms`."""
    efficient: bool
    """Whether that is worth while."""
    note: str
    """Why, in a sentence."""


def engine_notes(decoder: Decoder) -> tuple[EngineNote, ...]:
    """Say of every engine whether it runs a decoder efficiently, from its layer records.

    A decoder is efficient in a compiled engine where a gradient costs less than with the process
    itself, which factorises its covariance; in Stan, and so in brms, where a run takes minutes.
    """
    count = multiplications(decoder)
    work = sum(n / MATRIX_GAIN if over_areas else n for over_areas, n in _of(decoder))
    share = work / (FACTORISATION * decoder.num_areas**3)
    minutes = count / STAN_RATE / 60
    compiled = f"a gradient costs about {_times(share)} that of factorising the covariance"
    if share >= 1:
        compiled += "; exact inference is faster on this map"
    taped = f"2 x 1000 iterations take about {_duration(minutes)}"
    if minutes > STAN_MINUTES:
        taped += "; use NumPyro, or train a smaller structure such as gated-linear"
    reason = f"{_number(count)} multiplications a value; "
    return (
        *(EngineNote(engine, share < 1, reason + compiled) for engine in COMPILED),
        *(EngineNote(engine, minutes <= STAN_MINUTES, reason + taped) for engine in TAPED),
    )


def multiplications(decoder: Decoder) -> int:
    """Return how many multiplications one value of `f` takes; a gradient takes about twice them."""
    return sum(number for _, number in _of(decoder))


def _of(decoder: Decoder) -> Iterator[tuple[bool, int]]:
    """Yield whether a layer sees areas as rows, and its multiplications."""
    return _count(decoder.layers, decoder.latent_dim, len(decoder.conditions), rows=1)


def _count(
    layers: tuple[Layer, ...], width: int, num_conditions: int, rows: int
) -> Iterator[tuple[bool, int]]:
    """Count those of layers applied to `rows` rows, which are areas behind a `tokens`."""
    for layer in layers:
        match layer:
            case Sum():
                for branch in layer.branches:
                    yield from _count(branch, width, num_conditions, rows)
            case Tokens():
                rows = layer.areas
            case Flatten():
                rows = 1
            case SpatialGate():
                yield True, layer.areas**2 * (width // 2)
            case KernelAttention():
                yield True, layer.areas**2 * (width + KERNEL_ENTRY * layer.heads)
            case _:
                shapes = layer.shapes(width, num_conditions).values()
                yield rows > 1, rows * sum(math.prod(shape) for shape in shapes)
        width = layer.width(width, num_conditions)


def _times(share: float) -> str:
    return f"{share:.2g} times" if share >= 1 else f"{100 * share:.2g} % of"


def _number(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count / 1e3:.0f} thousand"


def _duration(minutes: float) -> str:
    if minutes < 2:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.0f} hours"
