"""GatedLinear and DeepRV: a decoder alone."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from priorvae.config.model.learnt import LearntConfig
from priorvae.config.model.tokens import TokensConfig

__all__ = ["RegressionConfig"]


class RegressionConfig(LearntConfig):
    """A decoder that learns a root of the covariance from its normals, without an encoder.

    Attributes:
        type: A GatedLinear is linear in z, a DeepRV any network.
        root: The root that is learnt: the symmetric one, smooth in the hyperparameters, or
            Cholesky's, as published.
        tokens: The blocks of a `gmlp` or `attention`.
    """

    type: Literal["GatedLinear", "DeepRV"]
    root: Literal["symmetric", "cholesky"] = "symmetric"
    tokens: TokensConfig | None = None

    @property
    def token_blocks(self) -> TokensConfig | None:
        """What the blocks over areas are like; None for a structure that has none."""
        if self.structure not in ("gmlp", "attention"):
            return None
        return TokensConfig() if self.tokens is None else self.tokens

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
        if self.root == "cholesky" and self.warm_start != "none":
            raise ValueError("a warm start is at the symmetric root: cholesky needs `none`")
        return self

    @pydantic.model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        if self.token_blocks is None:
            if self.tokens is not None:
                raise ValueError(f"a {self.structure} has no blocks over areas: leave out `tokens`")
            return self
        if isinstance(self.hidden, tuple) and len(self.hidden) != 2:
            raise ValueError(
                f"a {self.structure} has two widths, between its blocks and within them "
                f"(`hidden: [64, 128]`), got {list(self.hidden)}"
            )
        if self.structure == "gmlp" and self.token_blocks.heads is not None:
            raise ValueError("a gmlp has no heads: leave out `tokens.heads`, or use attention")
        if self.token_blocks.skip == "none" and self.warm_start != "none":
            raise ValueError(
                f"a {self.structure} without a skip has no warm start: set `warm_start: none`"
            )
        return self
