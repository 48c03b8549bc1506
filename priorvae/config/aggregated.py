"""A Gaussian process on fine cells or points, aggregated to areas."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from priorvae.config.areas import AreasConfig
from priorvae.config.gp import GPConfig
from priorvae.config.hyper import HyperConfig, check_positive, check_unitless
from priorvae.config.section import Section

__all__ = ["AggregatedConfig", "PointsConfig", "PopulationConfig"]

_CELLS = 1000


class PointsConfig(Section):
    """A file of points, on which the fine process lives; its path alone will do."""

    source: str
    layer: str | None = None
    crs: str | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


class PopulationConfig(Section):
    """Where people live: a file of points or polygons with a count in one column.

    Attributes:
        column: Column of the counts.
        source: The file; the points' own where the fine process lives on points.
        layer: Layer of the file, where it has several.
        crs: What its coordinates are in, where it does not say.
    """

    column: str
    source: str | None = None
    layer: str | None = None
    crs: str | None = None


class AggregatedConfig(Section):
    """A fine process, a non-linearity, and weights that carry it to areas.

    Attributes:
        of: The process on the cells or points.
        points: In place of cells: points on which the process lives.
        cells: Cells of the fine grid over the map, about; None with points.
        statistic: `mean` or `sum` over an area.
        population: Weights by people; by area of overlap where None (points count alike).
        nonlinearity: Applied to `amplitude` times the fine field before aggregation.
        amplitude: Standard deviation of the fine field inside the non-linearity. Not `scale`,
            which in a model is that of the whole effect.
        systems: Further boundary systems by name; their ids get the name as a prefix.
    """

    kind: Literal["aggregated"]
    of: GPConfig
    points: PointsConfig | None = None
    cells: Annotated[
        Annotated[int, Field(ge=16, le=10_000)] | None, Field(validate_default=True)
    ] = None
    statistic: Literal["mean", "sum"] = "mean"
    population: PopulationConfig | None = None
    nonlinearity: Literal["identity", "exp", "expit"] = "identity"
    amplitude: Annotated[HyperConfig | None, Field(validate_default=True)] = None
    systems: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], AreasConfig] = (
        Field(default={})
    )

    @pydantic.field_validator("cells")
    @classmethod
    def _cells_or_points(cls, value: int | None, info: pydantic.ValidationInfo) -> int | None:
        has_points = info.data.get("points") is not None
        if value is not None and has_points:
            raise ValueError(f"`points` stand in place of `cells`: leave one out (got {value})")
        return value if value is not None or has_points else _CELLS

    @pydantic.field_validator("population")
    @classmethod
    def _one_source(
        cls, value: PopulationConfig | None, info: pydantic.ValidationInfo
    ) -> PopulationConfig | None:
        if value is None or "points" not in info.data:
            return value
        given = [key for key in ("source", "layer", "crs") if getattr(value, key) is not None]
        if info.data["points"] is not None and given:
            raise ValueError(
                "with `points`, the population is a column of the same file: leave out "
                f"{', '.join(given)} (got {getattr(value, given[0])})"
            )
        if info.data["points"] is None and value.source is None:
            raise ValueError("needs `source`, a file of points or polygons (got none)")
        return value

    @pydantic.field_validator("amplitude")
    @classmethod
    def _amplitude_fits(
        cls, value: HyperConfig | None, info: pydantic.ValidationInfo
    ) -> HyperConfig | None:
        nonlinearity = info.data.get("nonlinearity", "identity")
        if value is None:
            if nonlinearity != "identity":
                raise ValueError(f"nonlinearity {nonlinearity} needs an amplitude (got none)")
            return value
        if nonlinearity == "identity" and "nonlinearity" in info.data:
            raise ValueError(
                "an amplitude is that of the field inside a nonlinearity; a linear effect has its "
                "scale in the model: leave it out (got one)"
            )
        check_positive("field's amplitude", value)
        check_unitless("a field's amplitude", value)
        return value
