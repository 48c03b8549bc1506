"""From a validated configuration and a map to the process it describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pydantic

from priorvae.areas.types import Areas
from priorvae.config import (
    AggregatedConfig,
    FunctionConfig,
    GPConfig,
    HyperConfig,
    MultivariateConfig,
    ProcessConfig,
    SpaceTimeConfig,
    SpatialConfig,
)
from priorvae.errors import ConfigError
from priorvae.processes.aggregation import build_aggregated
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.bym2 import BYM2
from priorvae.processes.car import ProperCAR
from priorvae.processes.function import build_function
from priorvae.processes.gp import GP
from priorvae.processes.hypers import categorical, in_km, separate
from priorvae.processes.icar import ICAR
from priorvae.processes.leroux import Leroux
from priorvae.processes.multivariate import build_multivariate
from priorvae.processes.sar import SAR
from priorvae.processes.spacetime import build_space_time

__all__ = ["ON_GRAPHS", "build_process", "build_spatial", "read_process"]

ON_GRAPHS: dict[str, type[ProperCAR | SAR | Leroux | ICAR | BYM2]] = {
    process.kind: process for process in (ProperCAR, SAR, Leroux, ICAR, BYM2)
}
"""Processes that a map's graph, conditions and constants determine, by kind."""


def build_process(
    config: ProcessConfig, areas: Areas, arrays: Mapping[str, np.ndarray] | None = None
) -> Process:
    """Build the process a configuration names, on a map.

    Args:
        config: The section `process` of a configuration.
        areas: The map.
        arrays: What `Process.arrays` held, to build the same process again without its sources.

    Raises:
        ConfigError: A lengthscale is given in extents and the map has none.
        ProcessError: The process cannot live on this map.
    """
    config = in_km(config, areas)
    if isinstance(config, SpatialConfig):
        return build_spatial(config, areas)
    if isinstance(config, SpaceTimeConfig):
        return build_space_time(config, areas, build_spatial)
    if isinstance(config, MultivariateConfig):
        return build_multivariate(config, areas, build_spatial)
    if isinstance(config, AggregatedConfig):
        return build_aggregated(config, areas, arrays, build_spatial)
    if isinstance(config, FunctionConfig):
        return build_function(config, areas)
    raise ConfigError(f"process.kind: {config.kind} is not known to this version")


def build_spatial(config: SpatialConfig, areas: Areas) -> Gaussian:
    """Build a Gaussian process on one map, lengths in km."""
    if isinstance(config, GPConfig):
        conditions, fixed = separate(config.hypers)
        if config.among:
            conditions = (*conditions, categorical("kernel", config.among))
        return GP(areas, config.formula, conditions, fixed, config.nugget, config.distance)
    process = ON_GRAPHS[config.kind]
    hypers = {name: value for name, value in config if isinstance(value, HyperConfig)}
    return process(areas, *separate(hypers, process.transform))


def read_process(record: Mapping[str, Any]) -> ProcessConfig:
    """Return the configuration that a record of it, such as a bundle's, holds.

    Raises:
        ConfigError: It is not one this version knows.
    """
    try:
        adapter: pydantic.TypeAdapter[ProcessConfig] = pydantic.TypeAdapter(ProcessConfig)
        return adapter.validate_python(record)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ConfigError(f"process.{where}: {problem['msg']}") from None
