"""A user's own simulator as the prior."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.config import FunctionConfig, HyperConfig
from priorvae.errors import ProcessError
from priorvae.processes.base import Hyper, Implicit
from priorvae.processes.conditions import Condition
from priorvae.processes.finite import in_words, require_finite
from priorvae.processes.hypers import separate
from priorvae.processes.usercode import UserFunction, load_function, local_modules, where_raised

if TYPE_CHECKING:
    import jax

__all__ = ["FunctionProcess", "build_function"]

KEYS_TRIED = 16
"""Keys that must all give one field before a function counts as ignoring its key: an epidemic that
often dies out gives the same field for many."""

MOST_CORNERS = 32


@final
@dataclass(frozen=True, eq=False)
class FunctionProcess(Implicit):
    """`f = function(key, hyper)`, shape `(area,)`.

    The function is called with a typed JAX key and a new dictionary of all hyperparameters, free
    and fixed. What JAX can trace is compiled and vectorised and gets traced scalars; anything else
    (a NumPy simulator) gets Python numbers, one draw at a time and never from inside a compiled
    step, since a callback that uses JAX (a key is JAX's) may hang there.

    Raises:
        ProcessError: The function raises, or returns what is no draw of a field on this map; or it
            draws randomness from elsewhere than its key, or changes the hyperparameters.
    """

    areas: Areas
    user: UserFunction
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    nugget: float = 0.0
    kind: str = "function"
    _traceable: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        middle = {c.name: float(c.from_unit(0.0)) for c in self.conditions}
        self._check_key(middle)
        for hyper in self._corners():
            self._field(_key(0), hyper)
        # Found out now: later it may be JAX that asks, in the middle of tracing.
        object.__setattr__(self, "_traceable", self._is_compiled(middle))

    @property
    def traceable(self) -> bool:
        """Whether JAX compiles the function, and to the fields that it gives when called."""
        return self._traceable

    def _is_compiled(self, middle: Hyper) -> bool:
        import jax

        keys = jax.random.split(_key(3), 2)
        called = np.stack([self._field(key, middle) for key in keys])
        arrays = {name: np.full(2, value) for name, value in middle.items()}
        try:
            compiled = np.asarray(jax.jit(jax.vmap(self._trace))(keys, arrays))
        except Exception:  # whatever NumPy or the user's code makes of a tracer
            return False
        return bool(np.allclose(compiled, called, rtol=1e-3, atol=1e-3 * np.abs(called).max()))

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of the function beside its draws: `module`, `name`, `sha256`, `compiled`."""
        module, _, name = self.user.path.partition(":")
        return {
            "module": module,
            "name": name,
            "sha256": self.user.sha256,
            "compiled": self.traceable,
        }

    def sample(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        """Draw one field, shape `(area,)`, in the default float type.

        Raises:
            ProcessError: The function raises or returns no field; or it is not traceable and JAX is
                tracing.
        """
        import jax
        import jax.numpy as jnp

        if self.traceable:
            return self._trace(key, hyper)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in (key, *hyper.values())):
            raise ProcessError(
                f"{self._name} is no JAX function, so it cannot be called from a compiled or "
                "vectorised one; use the sampler `direct`"
            )
        return jnp.asarray(self._field(key, hyper), dtype=float)

    def _trace(self, key: jax.Array, hyper: Hyper) -> jax.Array:
        import jax.numpy as jnp

        return jnp.asarray(self.user.call(key, self.all_hyper(hyper)), dtype=float)

    @property
    def _name(self) -> str:
        return f"the function {self.user.path}"

    def _field(self, key: jax.Array, hyper: Hyper) -> np.ndarray:
        """Call the function with numbers, and check what it returns."""
        given = {name: float(value) for name, value in self.all_hyper(hyper).items()}
        seen = dict(given)
        try:
            returned = self.user.call(key, seen)
        except Exception as error:
            raise ProcessError(
                f"{self._name} raised {type(error).__name__}: {error}"
                f"{where_raised(error, self.user.file)}, with {in_words(given)}"
            ) from None
        if seen.keys() != given.keys() or any(seen[name] is not given[name] for name in given):
            raise ProcessError(
                f"{self._name} changes the `hyper` it is given, from {given} to {seen}; copy it "
                "first: `hyper = dict(hyper)`"
            )
        return self._checked(returned, given)

    def _checked(self, returned: Any, hyper: Hyper) -> np.ndarray:
        expected = f"one floating-point number for each of the {self.size} areas, ({self.size},)"
        try:
            drawn = np.asarray(returned)
        except Exception:
            drawn = np.asarray(None)
        if drawn.dtype.kind in "iub":
            raise ProcessError(
                f"{self._name} must return {expected}, and returned {drawn.dtype}; convert them "
                "with `.astype(float)`"
            )
        if drawn.dtype.kind != "f":
            what = type(returned).__name__ if drawn.dtype == object else str(drawn.dtype)
            raise ProcessError(f"{self._name} must return {expected}, and returned {what}")
        if drawn.shape != (self.size,):
            raise ProcessError(f"{self._name} must return {expected}, and returned {drawn.shape}")
        values = {name: [value] for name, value in hyper.items()}
        require_finite(self._name, self.areas.ids, drawn[None], values)
        return drawn.astype(np.float64)

    def _check_key(self, hyper: Hyper) -> None:
        """Refuse a function that is not a function of its key."""
        first = self._field(_key(0), hyper)
        others = (self._field(_key(seed), hyper) for seed in range(1, KEYS_TRIED))
        varies = any(not np.array_equal(first, other) for other in others)
        if not np.array_equal(first, self._field(_key(0), hyper)):
            raise ProcessError(
                f"{self._name} gives two fields for one key: it must draw all its randomness from "
                "`key`, and keep nothing between calls. With NumPy: "
                "`np.random.default_rng(np.asarray(jax.random.key_data(key)))`"
            )
        if not varies:
            raise ProcessError(
                f"{self._name} ignores its key: {KEYS_TRIED} keys give one and the same field, "
                f"with {in_words(self.all_hyper(hyper))}"
            )

    def _corners(self) -> list[dict[str, float]]:
        """Ends of the hyperparameters' ranges, in all combinations while those are few."""
        names = [c.name for c in self.conditions]
        ends = itertools.product(*[(c.low, c.high) for c in self.conditions])
        return [dict(zip(names, e, strict=True)) for e in itertools.islice(ends, MOST_CORNERS)]


def build_function(config: FunctionConfig, areas: Areas) -> FunctionProcess:
    """Import the function a configuration names, and build its process.

    Raises:
        ProcessError: It cannot be imported, or does not behave as a simulator must.
    """
    conditions: list[Condition] = []
    fixed: dict[str, float] = {}
    for name, hyper in config.hyperparameters.items():
        free, constant = separate({name: hyper}, _transform(hyper))
        conditions += free
        fixed |= constant
    # The function may import its neighbours when it is first called.
    with local_modules():
        return FunctionProcess(areas, load_function(config.function), tuple(conditions), fixed)


def _transform(hyper: HyperConfig) -> str:
    return "log" if hyper.distribution in ("loguniform", "lognormal") else "identity"


def _key(seed: int) -> jax.Array:
    import jax

    return jax.random.key(seed)
