"""The prior of a run: every kind of process."""

from typing import Annotated

from pydantic import Field

from priorvae.config.aggregated import AggregatedConfig
from priorvae.config.function import FunctionConfig
from priorvae.config.multivariate import MultivariateConfig
from priorvae.config.spacetime import SpaceTimeConfig
from priorvae.config.spatial import SpatialConfig

__all__ = ["ProcessConfig"]

ProcessConfig = Annotated[
    SpatialConfig | SpaceTimeConfig | MultivariateConfig | AggregatedConfig | FunctionConfig,
    Field(discriminator="kind"),
]
