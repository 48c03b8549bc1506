"""A hyperparameter that a decoder is conditioned on: its range, scale and hyperprior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from priorvae.errors import ConditionError, nearest

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = ["Condition", "check_names", "unit_vector"]

_RELATIVE_SLACK = 1e-6  # a float32 value of the bound itself must not count as outside


@dataclass(frozen=True)
class Condition:
    """One named hyperparameter with a bounded range.

    The decoder never sees the raw value but its position `u` in [-1, 1] on a transformed scale:
    `u = 2 (t(v) - t(low)) / (t(high) - t(low)) - 1`, with `t` the logarithm (`log`), the identity,
    `-log(1 - v)` (`log1m`, for a CAR's dependence that approaches 1), `arcsin(sqrt(v))`
    (`arcsine`, for a share in [0, 1]: `v^1/2` and `(1 - v)^1/2` are a sine and a cosine on it), or
    `arcsin(v)` (`asin`, for a correlation in [-1, 1]: `(1 - v^2)^1/2` is a cosine on it).

    A condition with labels is categorical (`category`): its value is a category's number
    `j = 0, ..., C - 1`, or its label, and its position the Chebyshev node of degree `C - 1`,
    `u_j = cos(pi (j + 1/2) / C)`. So a Chebyshev series of that degree holds any function of the
    category exactly, and nothing that reads series needs to know of categories.

    Attributes:
        name: Name from the literature, e.g. `lengthscale` or `alpha`.
        unit: Unit of the value (`km`), or an empty string.
        low: Lower end of the trained range; 0 for a category.
        high: Upper end of the trained range; `C - 1` for a category.
        transform: `log`, `identity`, `log1m`, `arcsine`, `asin` or `category`.
        distribution: The hyperprior's family: `uniform`, `loguniform`, `normal` or `lognormal`, the
            last two truncated to [low, high], or `beta` stretched over [low, high]; `categorical`
            for equal probabilities of all categories.
        parameters: `loc` and `scale`, or `a` and `b`, where the family has them.
        labels: Names of the categories; empty where the value is a number.
    """

    name: str
    unit: str
    low: float
    high: float
    transform: str
    distribution: str
    parameters: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def to_unit(self, value: Any) -> Any:
        """Map a value in [low, high] to [-1, 1]; NumPy in, NumPy out; JAX in, JAX out."""
        if self.labels:
            return _node(value, len(self.labels))
        low, width = self.scaled_range
        return 2 * (_forward(self.transform, value) - low) / width - 1

    def from_unit(self, unit: Any) -> Any:
        """Map a position in [-1, 1] back to the value: the inverse of `to_unit`.

        Between two categories, the nearer one in angle `arccos(u)`.
        """
        if self.labels:
            return _category(unit, len(self.labels))
        low, width = self.scaled_range
        return _backward(self.transform, low + (unit + 1) / 2 * width)

    @property
    def scaled_range(self) -> tuple[float, float]:
        """The trained range on the transformed scale: its lower end and its width."""
        low, high = _forward(self.transform, np.asarray([self.low, self.high]))
        return float(low), float(high - low)

    def grid(self, num: int) -> np.ndarray:
        """Return `num` values that span [low, high], equally spaced on the transformed scale.

        Categories are gone through one after the other, again and again.
        """
        if self.labels:
            return np.arange(num) % len(self.labels) * 1.0
        values = self.from_unit(np.linspace(-1.0, 1.0, num))
        return np.clip(values, self.low, self.high)

    def number(self, value: Any) -> Any:
        """Return a category's number for its label, and any other value as it is.

        Raises:
            ConditionError: `value` is text, but not one of the labels.
        """
        if not isinstance(value, str):
            return value
        if value in self.labels:
            return float(self.labels.index(value))
        known = f"one of {', '.join(self.labels)}" if self.labels else "a number"
        raise ConditionError(
            f"{self.name}: expected {known}, got {value!r}{nearest(value, self.labels)}"
        )

    def text(self, value: Any) -> str:
        """Return a value as people read it: with its unit, or a category's label."""
        if self.labels:
            return self.labels[int(self.number(value))]
        return f"{value:.4g} {self.unit}".rstrip()

    @property
    def span(self) -> str:
        """What the values may be, as people read it."""
        if self.labels:
            return f"one of {', '.join(self.labels)}"
        return f"{self.low:.4g} to {self.high:.4g} {self.unit}".rstrip()

    def check(self, value: Any) -> None:
        """Refuse a value outside the trained range.

        Raises:
            ConditionError: `value` is neither a number in [low, high] nor, of a category, its
                label or number.
        """
        value = float(self.number(value))
        if self.labels:
            self._check_category(value)
            return
        slack = _RELATIVE_SLACK * max(abs(self.low), abs(self.high))
        if not (self.low - slack <= value <= self.high + slack):
            raise ConditionError(
                f"{self.name}: {value:g} is outside the trained range "
                f"[{self.low:g}, {self.high:g}] {self.unit}".rstrip()
                + "; use a value inside it, or train a bundle on a wider range"
            )

    def _check_category(self, value: float) -> None:
        if value not in range(len(self.labels)):
            known = ", ".join(f"{label} ({number})" for number, label in enumerate(self.labels))
            raise ConditionError(f"{self.name}: {value:g} is none of the categories {known}")

    def quantile(self, probability: np.ndarray) -> np.ndarray:
        """Return the hyperprior's quantiles, same shape as `probability`, float64."""
        if self.labels:
            num = len(self.labels)
            return np.minimum(np.floor(np.asarray(probability) * num), num - 1.0)
        return np.asarray(self._scipy().ppf(probability), dtype=np.float64)

    def cdf(self, value: np.ndarray) -> np.ndarray:
        """Return the hyperprior's distribution function at `value`."""
        if self.labels:
            return np.clip((np.floor(value) + 1.0) / len(self.labels), 0.0, 1.0)
        return np.asarray(self._scipy().cdf(value), dtype=np.float64)

    def numpyro(self) -> Distribution:
        """Return the trained hyperprior as a NumPyro distribution with support [low, high]."""
        import numpyro.distributions as dist

        if self.labels:
            return dist.DiscreteUniform(0, len(self.labels) - 1)
        if self.distribution == "uniform":
            return dist.Uniform(self.low, self.high)
        if self.distribution == "loguniform":
            return dist.LogUniform(self.low, self.high)
        if self.distribution == "beta":
            standard = dist.Beta(self.parameters["a"], self.parameters["b"])
            return dist.TransformedDistribution(
                standard,
                dist.transforms.AffineTransform(
                    self.low, self.high - self.low, domain=dist.constraints.unit_interval
                ),
            )
        loc, scale = self.parameters["loc"], self.parameters["scale"]
        if self.distribution == "normal":
            return dist.TruncatedNormal(loc, scale, low=self.low, high=self.high)
        normal = dist.TruncatedNormal(loc, scale, low=math.log(self.low), high=math.log(self.high))
        # With its domain the transform knows its range, which otherwise is taken for (0, inf).
        exponential = dist.transforms.ExpTransform(domain=normal.support)
        return dist.TransformedDistribution(normal, exponential)

    def _scipy(self) -> Any:
        low, high = self.low, self.high
        if self.distribution == "uniform":
            return stats.uniform(low, high - low)
        if self.distribution == "loguniform":
            return stats.loguniform(low, high)
        if self.distribution == "beta":
            return stats.beta(self.parameters["a"], self.parameters["b"], low, high - low)
        loc, scale = self.parameters["loc"], self.parameters["scale"]
        if self.distribution == "normal":
            return stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
        return _TruncatedLogNormal(loc, scale, low, high)


class _TruncatedLogNormal:
    """`exp` of a truncated normal: the two methods used here, in SciPy's spelling."""

    def __init__(self, loc: float, scale: float, low: float, high: float) -> None:
        bounds = (np.log([low, high]) - loc) / scale
        self._normal = stats.truncnorm(*bounds, loc, scale)

    def ppf(self, probability: np.ndarray) -> np.ndarray:
        return np.exp(self._normal.ppf(probability))

    def cdf(self, value: np.ndarray) -> np.ndarray:
        return self._normal.cdf(np.log(value))


def check_names(conditions: Sequence[Condition], hyper: Mapping[str, Any]) -> None:
    """Refuse hyperparameters whose names are not exactly those of the conditions.

    Raises:
        ConditionError: A name is missing or unknown.
    """
    names = [c.name for c in conditions]
    for name in hyper:
        if name not in names:
            raise ConditionError(
                f"unknown hyperparameter {name!r}{nearest(name, names)}; "
                f"this prior is conditioned on {names or 'nothing'}"
            )
    missing = [name for name in names if name not in hyper]
    if missing:
        raise ConditionError(f"missing hyperparameter {missing}; give a value for each of {names}")


def unit_vector(conditions: Sequence[Condition], hyper: Mapping[str, Any], xp: Any) -> Any:
    """Stack the conditions' unit positions, shape `(cond,)`, in the order of `conditions`."""
    if not conditions:
        return xp.zeros((0,))
    values = [xp.asarray(c.number(hyper[c.name])) for c in conditions]
    units = [c.to_unit(value) for c, value in zip(conditions, values, strict=True)]
    return xp.stack([xp.asarray(unit) for unit in units])


def _node(category: Any, num: int) -> Any:
    """Chebyshev nodes of the first kind, as `priorvae.processes.chebyshev.nodes` orders them."""
    xp = _namespace(category)
    return xp.cos(xp.pi * (xp.round(category) + 0.5) / num)


def _category(unit: Any, num: int) -> Any:
    xp = _namespace(unit)
    angle = xp.arccos(xp.clip(unit, -1.0, 1.0))
    return xp.clip(xp.round(num * angle / xp.pi - 0.5), 0.0, num - 1.0)


def _namespace(value: Any) -> Any:
    return value.__array_namespace__() if hasattr(value, "__array_namespace__") else np


def _forward(transform: str, value: Any) -> Any:
    if transform == "identity":
        return value
    xp = _namespace(value)
    if transform == "arcsine":
        # A float32 value of the bound itself may lie above 1.
        return xp.arcsin(xp.sqrt(xp.clip(value, 0.0, 1.0)))
    if transform == "asin":
        return xp.arcsin(xp.clip(value, -1.0, 1.0))
    return xp.log(value) if transform == "log" else -xp.log1p(-value)


def _backward(transform: str, value: Any) -> Any:
    if transform == "identity":
        return value
    xp = _namespace(value)
    if transform == "arcsine":
        return xp.sin(value) ** 2
    if transform == "asin":
        return xp.sin(value)
    return xp.exp(value) if transform == "log" else -xp.expm1(-value)
