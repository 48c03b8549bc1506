"""From hyperparameters as configured to the conditions of a process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from priorvae.areas.types import Areas
from priorvae.config import HyperConfig
from priorvae.errors import ConfigError
from priorvae.processes.conditions import Condition

__all__ = ["categorical", "in_km", "separate"]

Config = TypeVar("Config", bound=BaseModel)

# A kernel changes with the logarithm of its hyperparameters.
_TRANSFORMS = {"angle": "identity", "interaction": "identity"}
_UNITS = {"angle": "degrees"}


def in_km(config: Config, areas: Areas) -> Config:
    """Return a process's configuration with every length in km.

    Raises:
        ConfigError: A length is given in extents and the map has none.
    """
    return type(config).model_validate(_in_km(config.model_dump(), areas, ("process",)))


def separate(
    hypers: Mapping[str, HyperConfig], transform: str | None = None
) -> tuple[tuple[Condition, ...], dict[str, float]]:
    """Separate free hyperparameters, as conditions, from the values of constant ones."""
    conditions, fixed = [], {}
    for name, hyper in hypers.items():
        if hyper.distribution == "constant":
            assert hyper.value is not None
            fixed[name] = hyper.value
        else:
            conditions.append(_condition(name, hyper, transform))
    return tuple(conditions), fixed


def categorical(name: str, labels: tuple[str, ...]) -> Condition:
    """Return the condition that is one of several categories, all equally probable."""
    last = len(labels) - 1.0
    return Condition(name, "", 0.0, last, "category", "categorical", labels=labels)


def _condition(name: str, hyper: HyperConfig, transform: str | None) -> Condition:
    assert hyper.low is not None and hyper.high is not None
    parameters: dict[str, float] = {}
    if hyper.distribution in ("normal", "lognormal"):
        parameters = {"loc": hyper.loc, "scale": hyper.scale}
    elif hyper.distribution == "beta":
        parameters = {"a": hyper.a, "b": hyper.b}
    return Condition(
        name=name,
        unit=hyper.unit or _UNITS.get(name, ""),
        low=hyper.low,
        high=hyper.high,
        transform=transform or _TRANSFORMS.get(name, "log"),
        distribution=hyper.distribution,
        parameters=parameters,
    )


def _in_km(value: Any, areas: Areas, place: tuple[str, ...]) -> Any:
    if isinstance(value, list | tuple):
        return [_in_km(v, areas, (*place, str(i))) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.get("unit") != "extent":
        return {key: _in_km(v, areas, (*place, key)) for key, v in value.items()}
    if areas.extent is None:
        raise ConfigError(
            f"{'.'.join(place)}.unit: `extent` needs a map with coordinates, and "
            f"{areas.provenance.source} has none; give `unit: km`"
        )
    return _scaled(value, areas.extent)


def _scaled(hyper: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a length's record in km: `factor` of them make one of its own unit."""
    scaled = hyper | {"unit": "km"}
    for bound in ("low", "high", "value"):
        if hyper[bound] is not None:
            scaled[bound] = hyper[bound] * factor
    if hyper["distribution"] == "normal":
        scaled |= {"loc": hyper["loc"] * factor, "scale": hyper["scale"] * factor}
    elif hyper["distribution"] == "lognormal":
        scaled["loc"] = hyper["loc"] + math.log(factor)
    return scaled
