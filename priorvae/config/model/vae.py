"""PriorVAE, PriorCVAE and aggVAE: an encoder and a decoder."""

from __future__ import annotations

from typing import Literal, Self

import pydantic
from pydantic import PositiveFloat

from priorvae.config.model.bound import BoundConfig, ElboConfig
from priorvae.config.model.learnt import LearntConfig

__all__ = ["VAEConfig"]


class VAEConfig(LearntConfig):
    """A decoder that is learnt with an encoder, the hyperparameters integrated out or given.

    Attributes:
        type: A PriorVAE integrates the hyperparameters out, a PriorCVAE is given them; an aggVAE
            does either, for an aggregated process.
        conditional: Whether an aggVAE is given the hyperparameters; by default it is. The other
            two say it by their names.
        bound: What is maximised, or minimised.
        encoder: Covariance of the encoder's normals.
        likelihood_variance: As a share of the process's mean marginal variance.
        noisy_draws: Whether draws carry the likelihood's noise.
    """

    type: Literal["PriorVAE", "PriorCVAE", "aggVAE"]
    conditional: bool | None = None
    bound: BoundConfig = ElboConfig()
    encoder: Literal["full", "diagonal"] = "full"
    likelihood_variance: PositiveFloat = 0.001
    noisy_draws: bool = True

    @property
    def is_conditional(self) -> bool:
        """Whether encoder and decoder are given the hyperparameters."""
        by_name = self.type != "PriorVAE"
        return by_name if self.conditional is None else self.conditional

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.conditional is not None and self.type != "aggVAE":
            raise ValueError(
                f"`conditional` is for an aggVAE; a {self.type} says it by its name: leave it out "
                f"(got {self.conditional})"
            )
        if self.structure in ("gmlp", "attention"):
            raise ValueError(
                f"a {self.structure} has one latent an area, which a root has: use "
                f"`type: DeepRV`, or another structure for a {self.type}"
            )
        if self.structure != "gated-linear" and self.encoder == "full":
            raise ValueError(
                f"the full-covariance encoder is gated linear: {self.structure} needs "
                "`encoder: diagonal`"
            )
        if self.structure == "film-mlp" and not self.is_conditional:
            which = "a PriorVAE" if self.type == "PriorVAE" else "this aggVAE"
            raise ValueError(f"a film-mlp is modulated by conditions, which {which} has not")
        return self
