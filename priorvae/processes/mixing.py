"""How layers of a map are mixed from independent fields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from priorvae.processes.base import Hyper
from priorvae.processes.conditions import Condition

__all__ = ["Mixing", "Terms", "array_module", "columns", "from_terms"]


class Terms(NamedTuple):
    """A mixing whose hyperparameters stand in a diagonal: `M = left diag(gate(theta)) P`.

    `P` copies: term `h` takes field `field[h]` as it is.
    """

    left: np.ndarray
    """Shape `(layer, term)`, float64."""
    gate: Callable[[Hyper], Any]
    """Maps hyperparameters to `(term,)`; columns of them, `(draw, 1)`, to `(draw, term)`."""
    field: tuple[int, ...]
    """Position of the independent field of each term, counted from 0 without gaps."""
    owners: tuple[int, ...]
    """Position of the process that each term's field is drawn from."""


class Mixing(ABC):
    """A matrix `M(theta)`, `(layer, field)`, that makes layers of independent fields.

    Everything works on numbers and on NumPy or JAX arrays of them alike. `matrix` and `terms` may
    mix different numbers of fields; what they agree in is `M M'`.

    Attributes:
        conditions: Its own free hyperparameters.
        fixed: Its own constant ones.
    """

    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]

    @property
    @abstractmethod
    def owners(self) -> tuple[int, ...]:
        """Position of the process that each column's field is drawn from."""

    @abstractmethod
    def matrix(self, hyper: Hyper) -> Any:
        """Return `M(theta)`, smooth in the hyperparameters.

        Args:
            hyper: Numbers, or columns `(draw, 1)`; others than its own are not looked at.

        Returns:
            Shape `(layer, field)`, or `(draw, layer, field)`.
        """

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """The same mixing up to a rotation of the fields, with constant matrices."""

    def all_hyper(self, hyper: Hyper) -> dict[str, Any]:
        """Return the free hyperparameters given and the fixed ones together."""
        return {**self.fixed, **hyper}


def from_terms(terms: Terms, hyper: Hyper) -> Any:
    """Return the matrix that terms stand for, `(layer, field)` or `(draw, layer, field)`."""
    copies = np.equal.outer(terms.field, np.arange(max(terms.field) + 1)).astype(float)
    return (terms.left * terms.gate(hyper)[..., None, :]) @ copies


def columns(values: Sequence[Any]) -> Any:
    """Join numbers to an array `(value,)`, and columns `(draw, 1)` to one `(draw, value)`."""
    xp = array_module(*values)
    arrays = [xp.asarray(value) for value in values]
    arrays = [array[None] if array.ndim == 0 else array for array in arrays]
    return xp.concatenate(xp.broadcast_arrays(*arrays), axis=-1)


def array_module(*values: Any) -> Any:
    """Return the library of the arrays: NumPy, unless one of them is another's."""
    found = [v.__array_namespace__() for v in values if hasattr(v, "__array_namespace__")]
    return next((xp for xp in found if xp is not np), np)
