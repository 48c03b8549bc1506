"""Processes on the map's graph: the CAR family."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from priorvae.config.hyper import (
    HyperConfig,
    check_below_one,
    check_not_negative,
    check_share,
    check_unitless,
)
from priorvae.config.section import Section

__all__ = ["BYM2Config", "CARConfig", "ICARConfig", "LerouxConfig", "SARConfig", "Share"]


def _below_one(value: HyperConfig, info: ValidationInfo) -> HyperConfig:
    check_below_one(str(info.field_name), value)
    check_unitless(str(info.field_name), value)
    return value


def _not_negative(value: HyperConfig, info: ValidationInfo) -> HyperConfig:
    check_not_negative(str(info.field_name), value)
    return value


def _share(value: HyperConfig, info: ValidationInfo) -> HyperConfig:
    check_share(str(info.field_name), value)
    return value


Dependence = Annotated[HyperConfig, AfterValidator(_below_one)]
"""A dependence between neighbours, below 1."""

Share = Annotated[HyperConfig, AfterValidator(_share)]
"""A share of variance, in [0, 1]."""


class CARConfig(Section):
    """The proper conditional autoregression, precision D - alpha W."""

    kind: Literal["car"]
    alpha: Dependence


class SARConfig(Section):
    """The simultaneous autoregression, f = rho D^-1 W f + e."""

    kind: Literal["sar"]
    rho: Dependence


class LerouxConfig(Section):
    """The Leroux autoregression, precision rho (D - W) + (1 - rho) I."""

    kind: Literal["leroux"]
    rho: Annotated[Dependence, AfterValidator(_not_negative)]


class ICARConfig(Section):
    """The intrinsic autoregression, scaled; it has no hyperparameter."""

    kind: Literal["icar"]


class BYM2Config(Section):
    """The BYM2 model, sqrt(rho) u + sqrt(1 - rho) v with u the scaled ICAR."""

    kind: Literal["bym2"]
    rho: Share
