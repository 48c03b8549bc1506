"""The closed set of layer kinds: each one's record, weights and arithmetic.

A back end whose language is another (Stan) has a file of its own beside this room.
"""

from priorvae.decoders.layers.attention import KernelAttention
from priorvae.decoders.layers.base import Layer
from priorvae.decoders.layers.linear import Dense, Gate, Mixture, Scale
from priorvae.decoders.layers.nonlinear import (
    ACTIVATIONS,
    Activation,
    ConcatCondition,
    FiLM,
    LayerNorm,
)
from priorvae.decoders.layers.radial import Radial
from priorvae.decoders.layers.records import KINDS, layer_from_record
from priorvae.decoders.layers.sum import Sum
from priorvae.decoders.layers.tokens import Flatten, SpatialGate, Tokens

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "Activation",
    "ConcatCondition",
    "Dense",
    "FiLM",
    "Flatten",
    "Gate",
    "KernelAttention",
    "Layer",
    "LayerNorm",
    "Mixture",
    "Radial",
    "Scale",
    "SpatialGate",
    "Sum",
    "Tokens",
    "layer_from_record",
]
