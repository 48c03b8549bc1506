"""The closed set of layer kinds, and reading them from records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from priorvae.decoders.layers.attention import KernelAttention
from priorvae.decoders.layers.base import Layer
from priorvae.decoders.layers.linear import Dense, Gate, Mixture, Scale
from priorvae.decoders.layers.nonlinear import Activation, ConcatCondition, FiLM, LayerNorm
from priorvae.decoders.layers.radial import Radial
from priorvae.decoders.layers.sum import Sum
from priorvae.decoders.layers.tokens import Flatten, SpatialGate, Tokens
from priorvae.errors import BundleError, nearest

__all__ = ["KINDS", "layer_from_record", "nested"]

KINDS: dict[str, type[Layer]] = {
    cls.kind: cls
    for cls in (
        Dense,
        Activation,
        ConcatCondition,
        Gate,
        Mixture,
        FiLM,
        LayerNorm,
        Scale,
        Sum,
        Tokens,
        SpatialGate,
        KernelAttention,
        Flatten,
        Radial,
    )
}

_SIZES = ("units", "rank", "areas", "places", "heads")


def layer_from_record(record: Mapping[str, Any]) -> Layer:
    """Build a layer from its record.

    Raises:
        BundleError: The kind is unknown or a field is missing, unknown or of a wrong type.
    """
    kind = record.get("kind")
    if kind not in KINDS:
        raise BundleError(
            f"unknown layer kind {kind!r}{nearest(str(kind), KINDS)}; this priorvae knows "
            f"{', '.join(KINDS)}: a newer bundle needs a newer priorvae"
        )
    fields = {k: _read(v) for k, v in record.items() if k != "kind"}
    try:
        layer = KINDS[kind](**fields)
    except TypeError as error:
        raise BundleError(f"layer {kind!r}: fields do not fit: {error}") from None
    sizes = [v for k, v in fields.items() if k in _SIZES]
    sizes += list(fields.get("degrees", ()))
    if not all(isinstance(size, int) and 0 <= size < 2**31 for size in sizes):
        raise BundleError(f"layer {kind!r}: sizes must be whole numbers, got {dict(record)}")
    return layer


def nested(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """Yield layers and those within them."""
    for layer in layers:
        yield layer
        if isinstance(layer, Sum):
            for branch in layer.branches:
                yield from nested(branch)


def _read(value: Any) -> Any:
    """Turn lists into tuples, and records within into layers."""
    if isinstance(value, list):
        return tuple(_read(v) for v in value)
    return layer_from_record(value) if isinstance(value, dict) else value
