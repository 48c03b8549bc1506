"""Fields over areas and times."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from priorvae.config.graph import Share
from priorvae.config.hyper import (
    HyperConfig,
    check_length,
    check_positive,
    check_unitless,
)
from priorvae.config.section import Section
from priorvae.config.spatial import SpatialConfig

__all__ = ["AR1Config", "GneitingConfig", "RandomWalkConfig", "SpaceTimeConfig"]


class AR1Config(Section):
    """A stationary autoregression of order 1 in time, of unit variance."""

    kind: Literal["ar1"]
    phi: HyperConfig

    @pydantic.field_validator("phi")
    @classmethod
    def _stationary(cls, value: HyperConfig) -> HyperConfig:
        if not -1 < value.lowest <= value.highest < 1:
            raise ValueError(
                f"phi must stay between -1 and 1 (got {value.lowest:g} to {value.highest:g})"
            )
        check_unitless("phi", value)
        return value


class RandomWalkConfig(Section):
    """A random walk of order 1 or 2 in time, intrinsic and scaled; it has no hyperparameter."""

    kind: Literal["rw1", "rw2"]


class GneitingConfig(Section):
    """Gneiting's non-separable covariance of distance and time lag.

    Attributes:
        lengthscale: In space, at time lag zero.
        timescale: In time, in the unit of `times`.
        interaction: 0 for a separable covariance, up to 1.
        spatial_power: Half the exponent of the distance, in (0, 1]; 1/2 is exponential.
        temporal_power: Half the exponent of the time lag, in (0, 1].
    """

    kind: Literal["gneiting"]
    lengthscale: HyperConfig
    timescale: HyperConfig
    interaction: Share
    spatial_power: Annotated[float, Field(gt=0, le=1)] = 0.5
    temporal_power: Annotated[float, Field(gt=0, le=1)] = 0.5
    nugget: Annotated[float, Field(gt=0, lt=1e-5)] = 1e-6

    @pydantic.field_validator("lengthscale")
    @classmethod
    def _length(cls, value: HyperConfig) -> HyperConfig:
        check_positive("lengthscale", value)
        check_length(value)
        return value

    @pydantic.field_validator("timescale")
    @classmethod
    def _duration(cls, value: HyperConfig) -> HyperConfig:
        check_positive("timescale", value)
        check_unitless("a timescale, in the unit of `times`,", value)
        return value


class SpaceTimeConfig(Section):
    """A process over areas and times: separable, or with a joint covariance.

    Attributes:
        times: Their number, or the times themselves in ascending order.
        spatial: Of a separable process: what a field looks like at one time.
        temporal: Of a separable process: how it goes on.
        joint: In place of both: a covariance of distance and time lag together.
    """

    kind: Literal["space-time"]
    times: int | tuple[float, ...]
    spatial: Annotated[SpatialConfig, Field(discriminator="kind")] | None = None
    temporal: Annotated[AR1Config | RandomWalkConfig, Field(discriminator="kind")] | None = None
    joint: GneitingConfig | None = None

    @pydantic.field_validator("times")
    @classmethod
    def _ascending(cls, value: int | tuple[float, ...]) -> int | tuple[float, ...]:
        number = value if isinstance(value, int) else len(value)
        if number < 2:
            raise ValueError(f"a process in time needs at least two times (got {number})")
        given = () if isinstance(value, int) else value
        if any(later <= earlier for earlier, later in pairwise(given)):
            raise ValueError(f"times must ascend (got {', '.join(map(str, given))})")
        return value

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        separable = self.spatial is not None and self.temporal is not None
        if self.joint is not None and (self.spatial or self.temporal):
            raise ValueError("`joint` stands in place of `spatial` and `temporal`: leave them out")
        if self.joint is None and not separable:
            raise ValueError("needs `spatial` and `temporal` (separable), or `joint`")
        if self.temporal is not None and not self.evenly_spaced:
            raise ValueError(
                f"`temporal: {self.temporal.kind}` goes from one time to the next, so `times` must "
                f"be equally spaced (got {', '.join(self.labels)}); use `joint` for others"
            )
        if self.temporal is not None and self.temporal.kind == "rw2" and len(self.labels) < 3:
            raise ValueError("`temporal: rw2` needs at least three times (got 2)")
        return self

    @property
    def instants(self) -> tuple[float, ...]:
        """The times as numbers."""
        return tuple(range(1, self.times + 1)) if isinstance(self.times, int) else self.times

    @property
    def evenly_spaced(self) -> bool:
        """Whether all steps are of one length."""
        steps = [later - earlier for earlier, later in pairwise(self.instants)]
        return max(steps) - min(steps) <= 1e-9 * max(steps)

    @property
    def labels(self) -> tuple[str, ...]:
        """The times as text: `2001`, not `2001.0`."""
        return tuple(f"{time:.15g}" for time in self.instants)
