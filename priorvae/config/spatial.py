"""The Gaussian processes on one map, which larger processes are made of."""

from __future__ import annotations

from priorvae.config.gp import GPConfig
from priorvae.config.graph import BYM2Config, CARConfig, ICARConfig, LerouxConfig, SARConfig

__all__ = ["SpatialConfig"]

SpatialConfig = GPConfig | CARConfig | SARConfig | LerouxConfig | ICARConfig | BYM2Config
"""To be discriminated by its `kind`."""
