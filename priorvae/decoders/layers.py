"""The closed set of layer kinds: each one's record, weights and arithmetic.

A layer maps `x` of shape `(..., in)` to `(..., out)`, given the unit conditions `u` of shape
`(cond,)`. The arithmetic is written once, for any array library that follows the array API; a
back end whose language is another (Stan) has a file of its own beside this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, ClassVar, final

from priorvae.errors import BundleError, nearest
from priorvae.processes import chebyshev

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "Activation",
    "ConcatCondition",
    "Dense",
    "Gate",
    "Layer",
    "Mixture",
    "layer_from_record",
]

ACTIVATIONS = ("relu", "elu", "tanh", "sigmoid", "softplus")

Shapes = dict[str, tuple[int, ...]]


class Layer(ABC):
    """One layer record."""

    kind: ClassVar[str]

    @abstractmethod
    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the layer's output width."""

    @abstractmethod
    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of each named weight."""

    @abstractmethod
    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Apply the layer to `x` `(..., in)` at unit conditions `(cond,)`."""

    @property
    @abstractmethod
    def is_linear(self) -> bool:
        """Whether the output is linear in `x` for given conditions."""

    def record(self) -> dict[str, Any]:
        """Return the layer as the plain mapping that a bundle stores."""
        fields = asdict(self)  # type: ignore[call-overload]
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        return {"kind": self.kind, **listed}


@final
@dataclass(frozen=True)
class Dense(Layer):
    """`x W + b`, with `W` stored `(in, out)`; without the bias it is linear in `x`."""

    units: int
    bias: bool = True
    kind: ClassVar[str] = "dense"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return `units`."""
        return self.units

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `kernel` and, if there is one, `bias`."""
        kernel: Shapes = {"kernel": (width_in, self.units)}
        return kernel | {"bias": (self.units,)} if self.bias else kernel

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x W + b`."""
        y = x @ weights["kernel"]
        return y + weights["bias"] if self.bias else y

    @property
    def is_linear(self) -> bool:
        """Linear if there is no bias."""
        return not self.bias


@final
@dataclass(frozen=True)
class Activation(Layer):
    """An element-wise non-linearity."""

    function: str
    kind: ClassVar[str] = "activation"

    def __post_init__(self) -> None:
        if self.function not in ACTIVATIONS:
            raise BundleError(
                f"unknown activation {self.function!r}{nearest(self.function, ACTIVATIONS)}; "
                f"known: {', '.join(ACTIVATIONS)}"
            )

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return nothing: there are no weights."""
        return {}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `function(x)`."""
        xp = x.__array_namespace__()
        match self.function:
            case "relu":
                return xp.maximum(x, xp.zeros_like(x))
            case "elu":
                return xp.where(x > 0, x, xp.expm1(xp.minimum(x, xp.zeros_like(x))))
            case "tanh":
                return xp.tanh(x)
            case "sigmoid":
                return 0.5 * (xp.tanh(0.5 * x) + 1)
            case _:
                return xp.logaddexp(x, xp.zeros_like(x))

    @property
    def is_linear(self) -> bool:
        """Never linear."""
        return False


@final
@dataclass(frozen=True)
class ConcatCondition(Layer):
    """`[x, u]`: the unit conditions appended, as in PriorCVAE (Semenova et al. 2023)."""

    kind: ClassVar[str] = "concat-condition"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width plus the number of conditions."""
        return width_in + num_conditions

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return nothing: there are no weights."""
        return {}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x` with `u` behind each of its rows."""
        xp = x.__array_namespace__()
        return xp.concat([x, xp.broadcast_to(unit, (*x.shape[:-1], *unit.shape))], axis=-1)

    @property
    def is_linear(self) -> bool:
        """Not linear: `u` is an offset."""
        return False


@final
@dataclass(frozen=True)
class Gate(Layer):
    """`x * g(u)`, `g(u) = T(u) C` a Chebyshev series in the unit conditions for each element.

    Attributes:
        degrees: Chebyshev degree in each condition.
    """

    degrees: tuple[int, ...]
    kind: ClassVar[str] = "gate"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the input's width."""
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shape of `coefficients`, `(basis, in)`."""
        return {"coefficients": (prod(k + 1 for k in self.degrees), width_in)}

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `x * (T(u) C)`."""
        return x * (chebyshev.features(unit, self.degrees) @ weights["coefficients"])

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True


@final
@dataclass(frozen=True)
class Mixture(Layer):
    """`sum_r c_r(u) M_r x`, `c(u) = T(u) C`: one matrix interpolated over the conditions.

    Attributes:
        units: Output width.
        rank: Number of matrices.
        degrees: Chebyshev degree in each condition.
    """

    units: int
    rank: int
    degrees: tuple[int, ...]
    kind: ClassVar[str] = "mixture"

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return `units`."""
        return self.units

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of `coefficients` `(basis, rank)` and `kernels` `(rank, in, out)`."""
        return {
            "coefficients": (prod(k + 1 for k in self.degrees), self.rank),
            "kernels": (self.rank, width_in, self.units),
        }

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return `sum_r c_r(u) (x M_r)`."""
        xp = x.__array_namespace__()
        mix = chebyshev.features(unit, self.degrees) @ weights["coefficients"]
        return x @ xp.tensordot(mix, weights["kernels"], axes=1)

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True


KINDS: dict[str, type[Layer]] = {
    cls.kind: cls for cls in (Dense, Activation, ConcatCondition, Gate, Mixture)
}


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
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k != "kind"}
    try:
        layer = KINDS[kind](**fields)
    except TypeError as error:
        raise BundleError(f"layer {kind!r}: fields do not fit: {error}") from None
    sizes = [v for k, v in fields.items() if k in ("units", "rank")]
    sizes += list(fields.get("degrees", ()))
    if not all(isinstance(size, int) and 0 <= size < 2**31 for size in sizes):
        raise BundleError(f"layer {kind!r}: sizes must be whole numbers, got {dict(record)}")
    return layer
