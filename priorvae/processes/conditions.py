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
    `-log(1 - v)` (`log1m`, for a CAR's dependence that approaches 1), or `arcsin(sqrt(v))`
    (`arcsine`, for a share in [0, 1]: `v^1/2` and `(1 - v)^1/2` are a sine and a cosine on it).

    Attributes:
        name: Name from the literature, e.g. `lengthscale` or `alpha`.
        unit: Unit of the value (`km`), or an empty string.
        low: Lower end of the trained range.
        high: Upper end of the trained range.
        transform: `log`, `identity`, `log1m` or `arcsine`.
        distribution: The hyperprior's family: `uniform`, `loguniform`, `normal` or `lognormal`, the
            last two truncated to [low, high], or `beta` stretched over [low, high].
        parameters: `loc` and `scale`, or `a` and `b`, where the family has them.
    """

    name: str
    unit: str
    low: float
    high: float
    transform: str
    distribution: str
    parameters: dict[str, float] = field(default_factory=dict)

    def to_unit(self, value: Any) -> Any:
        """Map a value in [low, high] to [-1, 1]; NumPy in, NumPy out; JAX in, JAX out."""
        low, high = _forward(self.transform, np.asarray([self.low, self.high]))
        return 2 * (_forward(self.transform, value) - float(low)) / float(high - low) - 1

    def from_unit(self, unit: Any) -> Any:
        """Map a position in [-1, 1] back to the value: the inverse of `to_unit`."""
        low, high = _forward(self.transform, np.asarray([self.low, self.high]))
        return _backward(self.transform, float(low) + (unit + 1) / 2 * float(high - low))

    def grid(self, num: int) -> np.ndarray:
        """Return `num` values that span [low, high], equally spaced on the transformed scale."""
        values = self.from_unit(np.linspace(-1.0, 1.0, num))
        return np.clip(values, self.low, self.high)

    def check(self, value: float) -> None:
        """Refuse a value outside the trained range.

        Raises:
            ConditionError: `value` is not a number in [low, high].
        """
        slack = _RELATIVE_SLACK * max(abs(self.low), abs(self.high))
        if not (self.low - slack <= value <= self.high + slack):
            raise ConditionError(
                f"{self.name}: {value:g} is outside the trained range "
                f"[{self.low:g}, {self.high:g}] {self.unit}".rstrip()
                + "; use a value inside it, or train a bundle on a wider range"
            )

    def quantile(self, probability: np.ndarray) -> np.ndarray:
        """Return the hyperprior's quantiles, same shape as `probability`, float64."""
        return np.asarray(self._scipy().ppf(probability), dtype=np.float64)

    def cdf(self, value: np.ndarray) -> np.ndarray:
        """Return the hyperprior's distribution function at `value`."""
        return np.asarray(self._scipy().cdf(value), dtype=np.float64)

    def numpyro(self) -> Distribution:
        """Return the trained hyperprior as a NumPyro distribution with support [low, high]."""
        import numpyro.distributions as dist

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
        return dist.TransformedDistribution(normal, dist.transforms.ExpTransform())

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
    return xp.stack([xp.asarray(c.to_unit(xp.asarray(hyper[c.name]))) for c in conditions])


def _forward(transform: str, value: Any) -> Any:
    if transform == "identity":
        return value
    xp = value.__array_namespace__() if hasattr(value, "__array_namespace__") else np
    if transform == "arcsine":
        # A float32 value of the bound itself may lie above 1.
        return xp.arcsin(xp.sqrt(xp.clip(value, 0.0, 1.0)))
    return xp.log(value) if transform == "log" else -xp.log1p(-value)


def _backward(transform: str, value: Any) -> Any:
    if transform == "identity":
        return value
    xp = value.__array_namespace__() if hasattr(value, "__array_namespace__") else np
    if transform == "arcsine":
        return xp.sin(value) ** 2
    return xp.exp(value) if transform == "log" else -xp.expm1(-value)
