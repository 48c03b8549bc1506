"""GatedLinear and DeepRV: a decoder alone."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from priorvae.config.model.learnt import LearntConfig

__all__ = ["RegressionConfig"]


class RegressionConfig(LearntConfig):
    """A decoder that learns a root of the covariance from its normals, without an encoder."""

    type: Literal["GatedLinear", "DeepRV"]

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "GatedLinear" and self.structure != "gated-linear":
            raise ValueError(
                f"a GatedLinear has `structure: gated-linear`; use DeepRV for {self.structure}"
            )
        if self.latent_dim != "auto":
            raise ValueError(
                f"a {self.type} learns a whole root: leave `latent_dim: auto` "
                f"(got {self.latent_dim})"
            )
        return self
