"""Decode with PyTensor, symbolically: what PyMC compiles and differentiates.

The layers' arithmetic is written for any array library (`Layer.apply`). PyTensor's variables are no
such arrays: their shapes are symbols. So `_Array` wraps a variable whose shape is known, and
`_Namespace` gives the functions that layers and conditions call; neither knows any layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.shape import specify_shape
from pytensor.tensor.variable import TensorConstant, TensorVariable

from priorvae.decoders.spec import Decoder, Weights
from priorvae.processes.conditions import check_names, unit_vector

__all__ = ["decode"]


def decode(decoder: Decoder, weights: Weights, z: Any, hyper: Mapping[str, Any]) -> Any:
    """Return `f = D_w(z, theta)` as a PyTensor variable, in the float type of `z`.

    Hyperparameters may be symbols, so their values are checked only where they are numbers.

    Args:
        decoder: The specification.
        weights: Its weights.
        z: Latents, a variable `(latent,)`; its length may be unknown to PyTensor.
        hyper: One value for each condition, in its own unit: a variable or a number; of a
            category its label or number.

    Returns:
        One value per area, a variable `(area,)`.

    Raises:
        ConditionError: A hyperparameter is missing, unknown or, where it is a number, out of range.
    """
    check_names(decoder.conditions, hyper)
    for condition in decoder.conditions:
        value = hyper[condition.name]
        if not _is_symbol(value):
            condition.check(value)
    latents = _Array(specify_shape(pt.as_tensor(z), (decoder.latent_dim,)))
    unit = unit_vector(decoder.conditions, hyper, _Namespace).astype(latents.dtype)
    typed = {
        name: _Array(pt.constant(np.asarray(value, dtype=latents.dtype)))
        for name, value in weights.items()
    }
    return decoder.apply(typed, latents, unit).variable


def _is_symbol(value: Any) -> bool:
    return isinstance(value, TensorVariable) and not isinstance(value, TensorConstant)


@final
@dataclass(frozen=True, eq=False)
class _Array:
    """A PyTensor variable of known shape that behaves as the array API has it.

    Attributes:
        variable: The variable.
    """

    variable: Any

    # NumPy must leave an operation with one of its arrays on the left to this class.
    __array_ufunc__: ClassVar[None] = None

    @staticmethod
    def __array_namespace__() -> type[_Namespace]:
        return _Namespace

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.type.shape

    @property
    def dtype(self) -> str:
        return self.variable.dtype

    def astype(self, dtype: str) -> _Array:
        return _Array(pt.cast(self.variable, dtype))

    def reshape(self, *shape: Any) -> _Array:
        sizes = shape[0] if isinstance(shape[0], tuple) else shape
        known = -math.prod(sizes) if -1 in sizes else 1  # one size is -1: the rest of the elements
        rest = math.prod(self.shape) // known
        return _Array(self.variable.reshape(tuple(rest if n == -1 else n for n in sizes)))

    def __getitem__(self, index: Any) -> _Array:
        return _Array(self.variable[index])

    def __neg__(self) -> _Array:
        return _Array(-self.variable)

    def __add__(self, other: Any) -> _Array:
        return _Array(self.variable + _plain(other))

    def __radd__(self, other: Any) -> _Array:
        return _Array(_plain(other) + self.variable)

    def __sub__(self, other: Any) -> _Array:
        return _Array(self.variable - _plain(other))

    def __rsub__(self, other: Any) -> _Array:
        return _Array(_plain(other) - self.variable)

    def __mul__(self, other: Any) -> _Array:
        return _Array(self.variable * _plain(other))

    def __rmul__(self, other: Any) -> _Array:
        return _Array(_plain(other) * self.variable)

    def __truediv__(self, other: Any) -> _Array:
        return _Array(self.variable / _plain(other))

    def __pow__(self, other: Any) -> _Array:
        return _Array(self.variable ** _plain(other))

    def __matmul__(self, other: _Array) -> _Array:
        return _Array(pt.matmul(self.variable, other.variable))

    def __gt__(self, other: Any) -> _Array:
        return _Array(self.variable > _plain(other))


def _elementwise(function: Callable[[Any], Any]) -> staticmethod[[_Array], _Array]:
    """Return a function of a variable as one of an array."""
    return staticmethod(lambda x: _Array(function(x.variable)))


@final
class _Namespace:
    """The functions of the array API that layers and conditions call."""

    pi: ClassVar[float] = math.pi

    @staticmethod
    def asarray(value: Any) -> _Array:
        """Wrap a variable or a number; an array stays as it is."""
        if isinstance(value, _Array):
            return value
        return _Array(pt.as_tensor(value if _is_symbol(value) else np.asarray(value, dtype=float)))

    @staticmethod
    def zeros(shape: tuple[int, ...]) -> _Array:
        return _Array(pt.constant(np.zeros(shape)))

    @staticmethod
    def ones(shape: tuple[int, ...], dtype: str) -> _Array:
        return _Array(pt.constant(np.ones(shape, dtype=dtype)))

    @staticmethod
    def zeros_like(x: _Array) -> _Array:
        return _Array(pt.zeros_like(x.variable))

    @staticmethod
    def ones_like(x: _Array) -> _Array:
        return _Array(pt.ones_like(x.variable))

    @staticmethod
    def stack(arrays: Sequence[_Array]) -> _Array:
        return _Array(pt.stack([x.variable for x in arrays]))

    @staticmethod
    def concat(arrays: Sequence[_Array], axis: int) -> _Array:
        return _Array(pt.concatenate([x.variable for x in arrays], axis=axis))

    @staticmethod
    def broadcast_to(x: _Array, shape: tuple[int, ...]) -> _Array:
        return _Array(pt.broadcast_to(x.variable, shape))

    @staticmethod
    def moveaxis(x: _Array, source: int, destination: int) -> _Array:
        return _Array(pt.moveaxis(x.variable, source, destination))

    @staticmethod
    def tensordot(x: _Array, y: _Array, axes: int) -> _Array:
        return _Array(pt.tensordot(x.variable, y.variable, axes=axes))

    @staticmethod
    def sum(x: _Array, axis: int, keepdims: bool = False) -> _Array:
        return _Array(pt.sum(x.variable, axis=axis, keepdims=keepdims))

    @staticmethod
    def mean(x: _Array, axis: int, keepdims: bool = False) -> _Array:
        return _Array(pt.mean(x.variable, axis=axis, keepdims=keepdims))

    @staticmethod
    def where(condition: _Array, x: _Array, y: _Array) -> _Array:
        return _Array(pt.switch(condition.variable, x.variable, y.variable))

    @staticmethod
    def maximum(x: _Array, y: _Array) -> _Array:
        return _Array(pt.maximum(x.variable, y.variable))

    @staticmethod
    def minimum(x: _Array, y: _Array) -> _Array:
        return _Array(pt.minimum(x.variable, y.variable))

    @staticmethod
    def clip(x: _Array, low: float, high: float) -> _Array:
        return _Array(pt.clip(x.variable, low, high))

    @staticmethod
    def logaddexp(x: _Array, y: _Array) -> _Array:
        """Return `log(e^x + e^y)`; softplus does not overflow, as a sum of exponentials would."""
        return _Array(y.variable + pt.softplus(x.variable - y.variable))

    round = _elementwise(pt.round)
    sqrt = _elementwise(pt.sqrt)
    exp = _elementwise(pt.exp)
    expm1 = _elementwise(pt.expm1)
    log = _elementwise(pt.log)
    log1p = _elementwise(pt.log1p)
    sin = _elementwise(pt.sin)
    cos = _elementwise(pt.cos)
    arcsin = _elementwise(pt.arcsin)
    tanh = _elementwise(pt.tanh)


def _plain(value: Any) -> Any:
    return value.variable if isinstance(value, _Array) else value
