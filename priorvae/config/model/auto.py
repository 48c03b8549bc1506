"""A decoder that is chosen for the user."""

from __future__ import annotations

from typing import Literal

from priorvae.config.section import Section

__all__ = ["AutoConfig"]


class AutoConfig(Section):
    """Type, structure, size and training follow from process, map and certificate."""

    type: Literal["auto"]
