"""PriorVAE and PriorCVAE: an encoder and a decoder."""

from __future__ import annotations

from typing import Literal, Self

import pydantic
from pydantic import PositiveFloat

from priorvae.config.model.learnt import LearntConfig

__all__ = ["VAEConfig"]


class VAEConfig(LearntConfig):
    """A decoder that is learnt with an encoder, the hyperparameters integrated out or given."""

    type: Literal["PriorVAE", "PriorCVAE"]
    encoder: Literal["full", "diagonal"] = "full"
    likelihood_variance: PositiveFloat = 0.001
    noisy_draws: bool = True

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.structure != "gated-linear" and self.encoder == "full":
            raise ValueError(
                f"the full-covariance encoder is gated linear: {self.structure} needs "
                "`encoder: diagonal`"
            )
        if self.structure == "film-mlp" and self.type == "PriorVAE":
            raise ValueError("a film-mlp is modulated by conditions, which a PriorVAE has not")
        return self
