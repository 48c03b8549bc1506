"""The prior of a run: every kind of process."""

from typing import Annotated

from pydantic import Field

from priorvae.config.spatial import SpatialConfig

__all__ = ["ProcessConfig"]

ProcessConfig = Annotated[SpatialConfig, Field(discriminator="kind")]
