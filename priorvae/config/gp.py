"""Gaussian processes on places: kernels and how they combine."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from priorvae.config.hyper import (
    ONE,
    HyperConfig,
    check_length,
    check_positive,
    check_unitless,
)
from priorvae.config.section import Section

__all__ = ["AnisotropyConfig", "GPConfig", "KernelConfig", "TermConfig"]

_KERNEL_KEYS = {
    "rbf": ("lengthscale",),
    "matern12": ("lengthscale",),
    "matern32": ("lengthscale",),
    "matern52": ("lengthscale",),
    "rational-quadratic": ("lengthscale", "shape"),
    "periodic": ("lengthscale", "period"),
    "categorical": ("lengthscale",),
}


class KernelConfig(Section):
    """A kernel with its hyperparameters."""

    kernel: Literal["rbf", "matern12", "matern32", "matern52", "rational-quadratic", "periodic"]
    lengthscale: HyperConfig | None = Field(default=None, validate_default=True)
    shape: HyperConfig | None = Field(default=None, validate_default=True)
    period: HyperConfig | None = Field(default=None, validate_default=True)

    @pydantic.field_validator("lengthscale", "shape", "period")
    @classmethod
    def _fits(cls, value: HyperConfig | None, info: pydantic.ValidationInfo) -> HyperConfig | None:
        """Require what the kernel has, refuse what it has not, and check signs and units."""
        kernel, name = info.data.get("kernel"), str(info.field_name)
        if kernel is None:  # already refused, with a message of its own
            return value
        needed = name in _KERNEL_KEYS.get(kernel, ())
        if value is None:
            if needed:
                raise ValueError(f"kernel {kernel} needs a {name} (got none)")
            return value
        if not needed:
            has = ", ".join(_KERNEL_KEYS.get(kernel, ("terms",)))
            raise ValueError(f"kernel {kernel} has no {name}, only {has} (got one)")
        check_positive(name, value)
        if name == "period" or (name == "lengthscale" and kernel != "periodic"):
            check_length(value)
        else:
            check_unitless(f"the {name} of kernel {kernel}", value)
        return value


class TermConfig(KernelConfig):
    """One kernel of a sum or product, with its weight in a sum."""

    weight: HyperConfig | None = None

    @pydantic.field_validator("weight")
    @classmethod
    def _positive_weight(cls, value: HyperConfig | None) -> HyperConfig | None:
        if value is not None:
            check_positive("weight", value)
            check_unitless("a weight", value)
        return value


class AnisotropyConfig(Section):
    """Geometric anisotropy: the lengthscale along `angle`, and `1 / ratio` of it across.

    Attributes:
        ratio: At least 1.
        angle: Degrees clockwise from north.
    """

    ratio: HyperConfig
    angle: HyperConfig

    @pydantic.field_validator("ratio")
    @classmethod
    def _at_least_one(cls, value: HyperConfig) -> HyperConfig:
        if value.lowest < 1:
            raise ValueError(
                f"a ratio must be at least 1, the longer over the shorter (got {value.lowest:g})"
            )
        check_unitless("a ratio", value)
        return value

    @pydantic.field_validator("angle")
    @classmethod
    def _half_turn(cls, value: HyperConfig) -> HyperConfig:
        check_unitless("an angle, in degrees clockwise from north,", value)
        if value.low is not None and value.high is not None and value.high - value.low > 180:
            raise ValueError(
                "directions repeat after 180 degrees, so a wider range holds the same prior twice "
                f"(got {value.low:g} to {value.high:g})"
            )
        return value


class GPConfig(KernelConfig):
    """A Gaussian process on the centroids."""

    kind: Literal["gp"]
    kernel: Literal[  # type: ignore[assignment]
        "rbf",
        "matern12",
        "matern32",
        "matern52",
        "rational-quadratic",
        "periodic",
        "sum",
        "product",
        "categorical",
    ]
    terms: Annotated[tuple[TermConfig, ...], Field(validate_default=True)] = ()
    among: Annotated[
        tuple[Literal["rbf", "matern12", "matern32", "matern52"], ...], Field(validate_default=True)
    ] = ()
    distance: Literal["euclidean", "great-circle", "chordal"] = "euclidean"
    anisotropy: AnisotropyConfig | None = None
    nugget: Annotated[float, Field(gt=0, lt=1e-5)] = 1e-6

    @pydantic.field_validator("terms")
    @classmethod
    def _terms_fit(
        cls, value: tuple[TermConfig, ...], info: pydantic.ValidationInfo
    ) -> tuple[TermConfig, ...]:
        kernel = info.data.get("kernel")
        if kernel in ("sum", "product"):
            if len(value) < 2:
                raise ValueError(f"a {kernel} needs at least two terms (got {len(value)})")
            if kernel == "product" and any(term.weight for term in value):
                raise ValueError("a product has no weights: they would cancel (got one)")
            weights = [term.weight or ONE for term in value]
            if kernel == "sum" and all(w.distribution != "constant" for w in weights):
                raise ValueError(
                    "weights are relative: leave one of them constant, such as 1 (got all free)"
                )
        elif value and kernel is not None:
            raise ValueError(f"kernel {kernel} has no terms (got {len(value)})")
        return value

    @pydantic.field_validator("among")
    @classmethod
    def _among_fits(cls, value: tuple[str, ...], info: pydantic.ValidationInfo) -> tuple[str, ...]:
        if info.data.get("kernel") == "categorical":
            if len(set(value)) < 2 or len(set(value)) < len(value):
                raise ValueError(
                    f"a categorical kernel is one of at least two different ones (got {len(value)})"
                )
        elif value and "kernel" in info.data:
            raise ValueError(
                f"kernel {info.data['kernel']} has none to choose among: use `kernel: categorical`"
            )
        return value

    @property
    def hypers(self) -> dict[str, HyperConfig]:
        """Every hyperparameter by its name in the process; those of terms are numbered."""
        named = _kernel_hypers(self)
        for index, term in enumerate(self.terms, start=1):
            named |= {f"{name}_{index}": hyper for name, hyper in _kernel_hypers(term).items()}
            if self.kernel == "sum":
                named[f"weight_{index}"] = term.weight or ONE
        if self.anisotropy is not None:
            named |= {"ratio": self.anisotropy.ratio, "angle": self.anisotropy.angle}
        return named

    @property
    def formula(self) -> str:
        """The kernel in one word: `rbf`, or several joined by `+`, `*` or `|` (one of them)."""
        if self.among:
            return "|".join(self.among)
        signs = {"sum": "+", "product": "*"}
        names = [term.kernel for term in self.terms]
        return signs[self.kernel].join(names) if self.terms else self.kernel


def _kernel_hypers(config: KernelConfig) -> dict[str, HyperConfig]:
    hypers = {name: getattr(config, name) for name in ("lengthscale", "shape", "period")}
    return {name: hyper for name, hyper in hypers.items() if hyper is not None}
