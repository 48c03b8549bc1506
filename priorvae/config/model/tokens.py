"""Networks over areas: blocks that see every area as a token."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from priorvae.config.section import Section

__all__ = ["TokensConfig"]


class TokensConfig(Section):
    """The parts of a `gmlp` or `attention` decoder that other structures have not.

    Attributes:
        blocks: Residual blocks.
        projection_layers: Dense layers of each projection: 1 as in Liu et al. (2021), 2 as in the
            code of Navott et al. (2025).
        heads: Of kernel attention, which divide the channels; 4 by default.
        skip: A gated linear map beside the network, or the network alone.
    """

    blocks: PositiveInt = 2
    projection_layers: Literal[1, 2] = 1
    heads: PositiveInt | None = None
    skip: Literal["gated-linear", "none"] = "gated-linear"
