"""Hyperparameters, and the checks that processes make of them."""

from __future__ import annotations

from typing import Any, Literal, Self

import pydantic
from pydantic import PositiveFloat

from priorvae.config.section import Section

__all__ = [
    "ONE",
    "HyperConfig",
    "check_below_one",
    "check_length",
    "check_not_negative",
    "check_positive",
    "check_share",
    "check_unitless",
]


class HyperConfig(Section):
    """A hyperparameter: a hyperprior with finite support, or a constant."""

    distribution: Literal["uniform", "loguniform", "normal", "lognormal", "beta", "constant"]
    low: float | None = None
    high: float | None = None
    loc: float = 0.0
    scale: PositiveFloat = 1.0
    a: PositiveFloat = 1.0
    b: PositiveFloat = 1.0
    value: float | None = None
    unit: Literal["km", "extent", ""] = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """Read a bare number as a constant."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"distribution": "constant", "value": value} if is_number else value

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if self.distribution == "constant":
            if self.value is None:
                raise ValueError("a constant needs `value`")
        elif self.low is None or self.high is None:
            raise ValueError(
                f"{self.distribution} needs `low` and `high`: a decoder's range is finite"
            )
        elif not self.low < self.high:
            raise ValueError(f"`low` must be below `high` (got {self.low:g} and {self.high:g})")
        elif self.distribution in ("loguniform", "lognormal") and self.low <= 0:
            raise ValueError(f"{self.distribution} needs a positive `low` (got {self.low:g})")
        return self

    @property
    def lowest(self) -> float:
        """Smallest value in the support."""
        bound = self.value if self.distribution == "constant" else self.low
        assert bound is not None
        return bound

    @property
    def highest(self) -> float:
        """Largest value in the support."""
        bound = self.value if self.distribution == "constant" else self.high
        assert bound is not None
        return bound


ONE = HyperConfig(distribution="constant", value=1.0)


def check_positive(name: str, value: HyperConfig) -> None:
    """Refuse a support that reaches zero."""
    if value.lowest <= 0:
        raise ValueError(f"a {name} must be positive (got {value.lowest:g})")


def check_length(value: HyperConfig) -> None:
    """Refuse a length without a unit."""
    if not value.unit:
        raise ValueError("`unit` must say `km` or `extent` (a fraction of the longest side)")


def check_unitless(what: str, value: HyperConfig) -> None:
    """Refuse a unit where there is none."""
    if value.unit:
        raise ValueError(f"{what} has no `unit` (got {value.unit!r})")


def check_below_one(name: str, value: HyperConfig) -> None:
    """Refuse a support that reaches one."""
    if value.highest >= 1:
        raise ValueError(f"{name} must stay below 1 (got {value.highest:g})")


def check_not_negative(name: str, value: HyperConfig) -> None:
    """Refuse a support that reaches below zero."""
    if value.lowest < 0:
        raise ValueError(f"{name} must not be negative (got {value.lowest:g})")


def check_share(name: str, value: HyperConfig) -> None:
    """Refuse what is not a share of variance."""
    check_not_negative(name, value)
    if value.highest > 1:
        raise ValueError(f"{name} is a share of variance, at most 1 (got {value.highest:g})")
    check_unitless(name, value)
