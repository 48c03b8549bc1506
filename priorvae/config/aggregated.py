"""A Gaussian process on fine cells or points, aggregated to areas."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from priorvae.config.areas import AreasConfig
from priorvae.config.gp import GPConfig
from priorvae.config.hyper import HyperConfig, check_positive, check_unitless
from priorvae.config.section import Section

__all__ = ["AggregatedConfig", "PopulationConfig"]


class PopulationConfig(Section):
    """Where people live: a file of points or polygons with a count in one column."""

    source: str
    column: str
    layer: str | None = None
    crs: str | None = None


class AggregatedConfig(Section):
    """A fine process, a non-linearity, and weights that carry it to areas.

    Attributes:
        of: The process on the cells or points.
        cells: Cells of the fine grid over the map, about.
        points: In place of cells: a file of points, on which the process lives.
        statistic: `mean` or `sum` over an area.
        population: Weights by people; by area of overlap where None (points count alike).
        nonlinearity: Applied to `scale` times the fine field before aggregation.
        scale: Standard deviation of the fine field inside the non-linearity.
        systems: Further boundary systems by name; their ids get the name as a prefix.
    """

    kind: Literal["aggregated"]
    of: GPConfig
    cells: Annotated[int, Field(ge=16, le=20_000)] = 2000
    points: str | None = None
    statistic: Literal["mean", "sum"] = "mean"
    population: PopulationConfig | None = None
    nonlinearity: Literal["identity", "exp", "expit"] = "identity"
    scale: HyperConfig | None = None
    systems: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], AreasConfig] = (
        Field(default={})
    )

    @pydantic.model_validator(mode="after")
    def _scale_fits(self) -> Self:
        if (self.nonlinearity == "identity") == (self.scale is not None):
            raise ValueError(
                "`scale` belongs to a nonlinearity and every nonlinearity needs one (got "
                f"{self.nonlinearity} {'with' if self.scale else 'without'} `scale`)"
            )
        if self.scale is not None:
            check_positive("scale", self.scale)
            check_unitless("a scale", self.scale)
        return self
