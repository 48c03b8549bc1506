"""From a validated configuration and a map to the process it describes."""

from priorvae.areas.types import Areas
from priorvae.config import CARConfig, GPConfig, HyperConfig, ProcessConfig
from priorvae.errors import ConfigError
from priorvae.processes.base import Gaussian
from priorvae.processes.car import ProperCAR
from priorvae.processes.conditions import Condition
from priorvae.processes.gp import GP

__all__ = ["build_process"]


def build_process(config: ProcessConfig, areas: Areas) -> Gaussian:
    """Build the process a configuration names, on a map.

    Raises:
        ConfigError: A lengthscale is given in extents and the map has none.
        ProcessError: The process cannot live on this map.
    """
    if isinstance(config, GPConfig):
        conditions, fixed = _split({"lengthscale": config.lengthscale}, areas)
        return GP(areas, config.kernel, conditions, fixed, config.nugget)
    if isinstance(config, CARConfig):
        conditions, fixed = _split({"alpha": config.alpha}, areas)
        return ProperCAR(areas, conditions, fixed)
    raise ConfigError(f"process: unknown kind {config.kind!r}")


def _split(
    hypers: dict[str, HyperConfig], areas: Areas
) -> tuple[tuple[Condition, ...], dict[str, float]]:
    """Separate free hyperparameters from constant ones, lengths converted to km."""
    conditions, fixed = [], {}
    for name, hyper in hypers.items():
        factor = _km(name, hyper, areas)
        if hyper.distribution == "constant":
            assert hyper.value is not None
            fixed[name] = hyper.value * factor
        else:
            conditions.append(_condition(name, hyper, factor))
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


def _condition(name: str, hyper: HyperConfig, factor: float) -> Condition:
    import math

    assert hyper.low is not None and hyper.high is not None
    parameters: dict[str, float] = {}
    if hyper.distribution == "normal":
        parameters = {"loc": hyper.loc * factor, "scale": hyper.scale * factor}
    elif hyper.distribution == "lognormal":
        parameters = {"loc": hyper.loc + math.log(factor), "scale": hyper.scale}
    return Condition(
        name=name,
        unit="" if name == "alpha" else "km",
        low=hyper.low * factor,
        high=hyper.high * factor,
        # A CAR changes fastest as alpha nears 1; a kernel changes with the lengthscale's logarithm.
        transform="log1m" if name == "alpha" else "log",
        distribution=hyper.distribution,
        parameters=parameters,
    )
