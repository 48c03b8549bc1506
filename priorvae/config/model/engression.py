"""Engression: a decoder alone, for processes known by their draws."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from priorvae.config.model.learnt import LearntConfig

__all__ = ["EngressionConfig"]


class EngressionConfig(LearntConfig):
    """A decoder that learns from draws by the energy score, without an encoder.

    Attributes:
        output: What the last layer is put through: `exp` keeps a risk positive.
        warm_start_draws: Draws at each node behind the moments that training starts from, where
            these have no closed form.
    """

    type: Literal["Engression"]
    output: Literal["identity", "exp", "softplus", "sigmoid"] = "identity"
    warm_start_draws: Annotated[int, Field(ge=100)] = 4096

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.structure not in ("gated-linear", "film-mlp"):
            raise ValueError(
                "an Engression has `structure: gated-linear` or `film-mlp` (got "
                f"{self.structure!r})"
            )
        return self
