"""Write a decoder as Stan functions, and its weights as Stan data.

The functions hold no numbers of a map: weights and ranges are arguments, so that one compiled
program serves every bundle whose layers are of the same kinds in the same order. They take and
return vectors and matrices alone, which every Stan since 2.21 reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from priorvae.decoders.layers import (
    Activation,
    ConcatCondition,
    Dense,
    FiLM,
    Flatten,
    Gate,
    KernelAttention,
    Layer,
    LayerNorm,
    Mixture,
    Radial,
    Scale,
    SpatialGate,
    Sum,
    Tokens,
)
from priorvae.decoders.spec import Decoder, Weights
from priorvae.decoders.stan_library import LIBRARY, Function
from priorvae.errors import BundleError

__all__ = ["Argument", "arguments", "stan_data", "stan_functions", "stan_name"]


class Argument(NamedTuple):
    """A weight as an argument of the Stan function."""

    name: str
    """Its Stan name."""
    type: str
    """`vector` or `matrix`."""


def stan_name(weight: str) -> str:
    """Return a weight's name in Stan: `layers.0.kernel` is `layers_0_kernel`."""
    return weight.replace(".", "_")


def arguments(decoder: Decoder) -> list[Argument]:
    """Return the weights as the Stan function takes them, in its order."""
    return [
        Argument(stan_name(name), "vector" if len(shape) == 1 else "matrix")
        for name, shape in decoder.shapes().items()
    ]


def stan_data(decoder: Decoder, weights: Weights) -> dict[str, Any]:
    """Return ranges and weights as Stan data, float64, with the sizes that declare them.

    A weight `w` comes with `w_rows`, and a matrix with `w_cols`. The matrices of a `mixture`,
    `(rank, in, out)`, are stacked to `(rank in, out)`. The float64 value of each float32 is written
    in full: nine digits would be another number.
    """
    data: dict[str, Any] = {"num_conditions": len(decoder.conditions)}
    data["low"] = [c.low for c in decoder.conditions]
    data["high"] = [c.high for c in decoder.conditions]
    for name in decoder.shapes():
        value = np.asarray(weights[name], dtype=np.float64)
        value = value.reshape(-1, value.shape[-1]) if value.ndim > 2 else value
        own = stan_name(name)
        data[f"{own}_rows"] = value.shape[0]
        if value.ndim == 2:
            data[f"{own}_cols"] = value.shape[1]
        data[own] = value.tolist()
    return data


def stan_functions(decoder: Decoder, prefix: str = "nn") -> str:
    """Return the contents of a `functions` block that defines the decoder.

    The last function is

        vector PREFIX_decode(vector z, vector theta, vector low, vector high, <weights>)

    with `theta` in its own units, `low` and `high` the trained range, and the weights in the order
    of `arguments`; it returns `f`.

    Args:
        decoder: The specification.
        prefix: What the functions' names begin with.
    """
    writer = _Writer(decoder)
    body = writer.decode()
    needed = _needed(writer.calls)
    parts = [function.source.strip() for function in needed]
    return "\n".join([*parts, *writer.functions, body]).replace("nn_", f"{prefix}_") + "\n"


def _needed(calls: set[str]) -> list[Function]:
    """Return the library's functions that are called, each after those it calls."""
    found: dict[str, Function] = {}

    def add(name: str) -> None:
        for inner in LIBRARY[name].calls:
            add(inner)
        found.setdefault(name, LIBRARY[name])

    for name in LIBRARY:
        if name in calls:
            add(name)
    return list(found.values())


@dataclass
class _Writer:
    """Writes the functions that belong to one decoder, and notes what they call."""

    decoder: Decoder

    def __post_init__(self) -> None:
        self.calls: set[str] = set()
        self.functions: list[str] = []

    def decode(self) -> str:
        """Return the source of `nn_decode`."""
        signature = "vector z, vector theta, vector low, vector high" + self._parameters()
        unit = self._unit()
        value = _Value("z", "vector")
        for index, layer in enumerate(self.decoder.layers):
            value = self.apply(layer, value, f"layers_{index}_")
        conditions = self.decoder.conditions
        lines = [f"vector[{len(conditions)}] u;", *unit] if conditions else ["vector[0] u;"]
        lines.append(f"return {value.expression};")
        return _function(f"vector nn_decode({signature})", lines)

    def _parameters(self) -> str:
        return "".join(f", {a.type} {a.name}" for a in arguments(self.decoder))

    def _unit(self) -> list[str]:
        """Return statements that set `u`, the positions of the conditions in [-1, 1]."""
        found = []
        for i, condition in enumerate(self.decoder.conditions, start=1):
            call = self.call(
                f"{condition.transform}_unit", f"theta[{i}]", f"low[{i}]", f"high[{i}]"
            )
            found.append(f"u[{i}] = {call};")
        return found

    def call(self, name: str, *values: str) -> str:
        """Return a call of a library function, and note it."""
        self.calls.add(name)
        return f"nn_{name}({', '.join(values)})"

    def basis(self, degrees: tuple[int, ...], weight: str) -> str:
        """Return an expression for the Chebyshev basis, a row vector.

        With one condition its length is that of the weight, so that maps of any degree share a
        program; with several the degrees are part of it.
        """
        if not degrees:
            return "rep_row_vector(1, 1)"
        if len(degrees) == 1:
            return self.call("chebyshev", "u[1]", f"rows({weight})")
        terms = [self.call("chebyshev", f"u[{i + 1}]", f"{d + 1}") for i, d in enumerate(degrees)]
        product = terms[0]
        for term in terms[1:]:
            product = self.call("outer", product, term)
        return product

    def apply(self, layer: Layer, x: _Value, weights: str) -> _Value:
        """Return the expression of a layer's output."""
        on = "" if x.type == "vector" else "_rows"
        kernel, bias = f"{weights}kernel", f"{weights}bias"
        scale, shift = f"{weights}scale", f"{weights}shift"
        match layer:
            case Dense(bias=True):
                return x.to(self.call(f"affine{on}", x.expression, kernel, bias))
            case Dense():
                return x.to(self.call(f"linear{on}", x.expression, kernel))
            case Activation():
                return x.to(self._activation(layer.function, x))
            case Gate():
                series = f"{weights}coefficients"
                factor = f"{self.basis(layer.degrees, series)} * {series}"
                return x.to(self.call(f"times{on}", x.expression, factor))
            case FiLM():
                basis = self.basis(layer.degrees, scale)
                factors = (f"{basis} * {scale}", f"{basis} * {shift}")
                return x.to(self.call(f"film{on}", x.expression, *factors))
            case Mixture():
                series = f"{weights}coefficients"
                mix = f"{self.basis(layer.degrees, series)} * {series}"
                return x.to(self.call("mixture", x.expression, mix, f"{weights}kernels"))
            case Scale():
                return x.to(self.call(f"times{on}", x.expression, f"{scale}'"))
            case LayerNorm():
                return x.to(self.call(f"layer_norm{on}", x.expression, scale, bias))
            case ConcatCondition():
                return x.to(self.call(f"concat{on}", x.expression, "u"))
            case Tokens():
                call = self.call("tokens", x.expression, f"{weights}places", "u")
                return _Value(call, "matrix")
            case Flatten():
                return _Value(f"col({x.expression}, 1)", "vector")
            case SpatialGate(normalise=True):
                return x.to(self.call("normed_gate", x.expression, kernel, bias, scale, shift))
            case SpatialGate():
                return x.to(self.call("spatial_gate", x.expression, kernel, bias))
            case KernelAttention():
                return x.to(self._attention(layer, x, weights))
            case Radial():
                return x.to(self.call("radial", x.expression, f"{weights}centres"))
            case Sum():
                return self._sum(layer, x, weights)
        raise BundleError(f"a layer of kind {layer.kind!r} is not known to the Stan back end")

    def _activation(self, function: str, x: _Value) -> str:
        if x.type == "vector":
            return self.call(function, x.expression)
        # Applied to the elements one after the other, and put back into rows.
        name = f"{function}_rows"
        self.calls.add(function)
        source = _function(
            f"matrix nn_{name}(matrix x)",
            [f"return to_matrix(nn_{function}(to_vector(x)), rows(x), cols(x));"],
        )
        if source not in self.functions:
            self.functions.append(source)
        return f"nn_{name}({x.expression})"

    def _attention(self, layer: KernelAttention, x: _Value, weights: str) -> str:
        strength, decay = f"{weights}strength", f"{weights}decay"
        series = (f"exp({self.basis(layer.degrees, w)} * {w})" for w in (strength, decay))
        return self.call("attention", x.expression, f"{weights}places", *series)

    def _sum(self, layer: Sum, x: _Value, weights: str) -> _Value:
        """Write a function of its own, so that `x` is computed once for all branches."""
        branches = []
        for number, branch in enumerate(layer.branches):
            value = _Value("x", x.type)
            for index, inner in enumerate(branch):
                value = self.apply(inner, value, f"{weights}{number}_{index}_")
            branches.append(value)
        own = [a for a in arguments(self.decoder) if a.name.startswith(weights)]
        name = f"nn_{weights}sum"
        parameters = "".join(f", {a.type} {a.name}" for a in own)
        self.functions.append(
            _function(
                f"{branches[0].type} {name}({x.type} x, vector u{parameters})",
                [f"return {' + '.join(b.expression for b in branches)};"],
            )
        )
        given = "".join(f", {a.name}" for a in own)
        return _Value(f"{name}({x.expression}, u{given})", branches[0].type)


class _Value(NamedTuple):
    """An expression and its type: a vector, or a matrix with a row for each area."""

    expression: str
    type: str

    def to(self, expression: str) -> _Value:
        """Return another expression of the same type."""
        return _Value(expression, self.type)


def _function(signature: str, lines: list[str]) -> str:
    return "\n".join([f"{signature} {{", *(f"  {line}" for line in lines), "}"])
