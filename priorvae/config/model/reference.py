"""The analytic decoder."""

from __future__ import annotations

from typing import Literal

from priorvae.config.section import Section

__all__ = ["ReferenceConfig"]


class ReferenceConfig(Section):
    """A decoder that nothing is learnt for."""

    type: Literal["reference"]
