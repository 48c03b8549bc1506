"""The map of a run."""

from typing import Literal

from pydantic import NonNegativeFloat

from priorvae.config.section import Section

__all__ = ["AreasConfig"]


class AreasConfig(Section):
    """Which map, and how its graph is built (see `priorvae.areas.read_areas`)."""

    source: str
    id: str | None = None
    name: str | None = None
    contiguity: Literal["queen", "rook"] = "queen"
    islands: Literal["bridge", "keep", "error"] = "bridge"
    snap: NonNegativeFloat | None = None
    crs: str | None = None
    layer: str | None = None
