"""From a validated configuration and a map to the process it describes."""

from collections.abc import Mapping

from priorvae.areas.types import Areas
from priorvae.config import GPConfig, HyperConfig, ProcessConfig
from priorvae.errors import ConfigError
from priorvae.processes.base import Gaussian
from priorvae.processes.bym2 import BYM2
from priorvae.processes.car import ProperCAR
from priorvae.processes.conditions import Condition
from priorvae.processes.gp import GP
from priorvae.processes.icar import ICAR
from priorvae.processes.leroux import Leroux
from priorvae.processes.sar import SAR

__all__ = ["ON_GRAPHS", "build_process"]

ON_GRAPHS: dict[str, type[ProperCAR | SAR | Leroux | ICAR | BYM2]] = {
    process.kind: process for process in (ProperCAR, SAR, Leroux, ICAR, BYM2)
}
"""Processes that a map's graph, conditions and constants determine, by kind."""

# A kernel changes with the logarithm of its hyperparameters.
_TRANSFORMS = {"angle": "identity"}
_UNITS = {"angle": "degrees"}


def build_process(config: ProcessConfig, areas: Areas) -> Gaussian:
    """Build the process a configuration names, on a map.

    Raises:
        ConfigError: A lengthscale is given in extents and the map has none.
        ProcessError: The process cannot live on this map.
    """
    if isinstance(config, GPConfig):
        conditions, fixed = _split(config.hypers, areas)
        return GP(areas, config.formula, conditions, fixed, config.nugget, config.distance)
    if config.kind in ON_GRAPHS:
        process = ON_GRAPHS[config.kind]
        hypers = {name: value for name, value in config if isinstance(value, HyperConfig)}
        conditions, fixed = _split(hypers, areas, process.transform)
        return process(areas, conditions, fixed)
    raise ConfigError(f"process: unknown kind {config.kind!r}")


def _split(
    hypers: Mapping[str, HyperConfig], areas: Areas, transform: str | None = None
) -> tuple[tuple[Condition, ...], dict[str, float]]:
    """Separate free hyperparameters from constant ones, lengths converted to km."""
    conditions, fixed = [], {}
    for name, hyper in hypers.items():
        factor = _km(name, hyper, areas)
        if hyper.distribution == "constant":
            assert hyper.value is not None
            fixed[name] = hyper.value * factor
        else:
            conditions.append(_condition(name, hyper, factor, transform))
    return tuple(conditions), fixed


def _km(name: str, hyper: HyperConfig, areas: Areas) -> float:
    if hyper.unit != "extent":
        return 1.0
    if areas.extent is None:
        raise ConfigError(
            f"process.{name}.unit: `extent` needs a map with coordinates, and "
            f"{areas.provenance.source} has none; give `unit: km`"
        )
    return areas.extent


def _condition(name: str, hyper: HyperConfig, factor: float, transform: str | None) -> Condition:
    import math

    assert hyper.low is not None and hyper.high is not None
    parameters: dict[str, float] = {}
    if hyper.distribution == "normal":
        parameters = {"loc": hyper.loc * factor, "scale": hyper.scale * factor}
    elif hyper.distribution == "lognormal":
        parameters = {"loc": hyper.loc + math.log(factor), "scale": hyper.scale}
    elif hyper.distribution == "beta":
        parameters = {"a": hyper.a, "b": hyper.b}
    return Condition(
        name=name,
        unit="km" if hyper.unit else _UNITS.get(name, ""),
        low=hyper.low * factor,
        high=hyper.high * factor,
        transform=transform or _TRANSFORMS.get(name, "log"),
        distribution=hyper.distribution,
        parameters=parameters,
    )
