"""Objectives of a decoder alone, without an encoder."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flax import nnx

from priorvae.decoders.flax_backend import DecoderModule
from priorvae.decoders.spec import Decoder

__all__ = ["Solo", "SoloObjective"]


class Solo(nnx.Module):
    """A decoder without an encoder."""

    def __init__(self, decoder: DecoderModule) -> None:
        self.decoder = decoder


@dataclass(frozen=True)
class SoloObjective(ABC):
    """A decoder and the means to build and start it; what is left is a loss.

    Attributes:
        decoder: Specification of what is learnt.
        build: Makes the module from a seed and, optionally, starting weights.
        start: Computes the starting weights from a seed, or None to start at random.
        noise: Variance of the independent noise its draws carry.
    """

    decoder: Decoder
    build: Callable[[int, dict[str, np.ndarray] | None], Solo]
    start: Callable[[int], dict[str, np.ndarray] | None]
    noise: float = 0.0

    def initial(self, seed: int) -> Solo:
        """Return the decoder as training starts with it."""
        return self.build(seed, self.start(seed))
