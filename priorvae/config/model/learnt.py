"""What every learnt decoder's configuration has."""

from __future__ import annotations

from typing import Literal, Self

import pydantic
from pydantic import PositiveInt

from priorvae.config.section import Section
from priorvae.config.size import Size, Widths

__all__ = ["LearntConfig"]


class LearntConfig(Section):
    """A decoder's structure, and where its training starts."""

    structure: Literal["gated-linear", "mlp", "film-mlp", "gmlp", "attention"] = "gated-linear"
    latent_dim: Size = "auto"
    hidden: Widths = "auto"
    activation: Literal["relu", "elu", "gelu", "tanh", "sigmoid", "softplus"] = "elu"
    warm_start: Literal["symmetric-root", "none"] = "symmetric-root"
    warm_start_sweeps: PositiveInt = 300

    @pydantic.model_validator(mode="after")
    def _buildable(self) -> Self:
        if self.structure == "mlp" and self.warm_start != "none":
            raise ValueError("an mlp has no warm start: set `warm_start: none`")
        if self.structure == "gated-linear" and isinstance(self.hidden, tuple):
            raise ValueError("a gated-linear decoder has one hidden width, not a list")
        return self
