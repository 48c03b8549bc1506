"""The decoder, and how it is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from priorvae.config.section import Section

__all__ = ["ModelConfig", "TrainingConfig"]


def _size(value: Any) -> Any:
    """Refuse what is neither a positive whole number nor `auto`, in one message."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError("must be a positive whole number or `auto`")


def _widths(value: Any) -> Any:
    """Accept one width or a list of them."""
    return (
        tuple(_size(width) for width in value) if isinstance(value, list | tuple) else _size(value)
    )


Size = Annotated[int | Literal["auto"], BeforeValidator(_size)]


class ModelConfig(Section):
    """Which decoder is learnt, and with which encoder."""

    type: Literal["PriorVAE", "PriorCVAE", "GatedLinear", "DeepRV", "reference"]
    structure: Literal["gated-linear", "mlp", "film-mlp"] = "gated-linear"
    latent_dim: Size = "auto"
    hidden: Annotated[int | tuple[int, ...] | Literal["auto"], BeforeValidator(_widths)] = "auto"
    activation: Literal["relu", "elu", "gelu", "tanh", "sigmoid", "softplus"] = "elu"
    encoder: Literal["full", "diagonal"] = "full"
    likelihood_variance: PositiveFloat = 0.001
    noisy_draws: bool = True
    warm_start: Literal["symmetric-root", "none"] = "symmetric-root"
    warm_start_sweeps: PositiveInt = 1000

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.structure == "mlp" and self.warm_start != "none":
            raise ValueError("an mlp has no warm start: set `warm_start: none`")
        regression = self.type in ("GatedLinear", "DeepRV")
        if self.structure != "gated-linear" and self.encoder == "full" and not regression:
            raise ValueError(
                f"the full-covariance encoder is gated linear: {self.structure} needs "
                "`encoder: diagonal`"
            )
        if self.structure == "film-mlp" and self.type == "PriorVAE":
            raise ValueError("a film-mlp is modulated by conditions, which a PriorVAE has not")
        if self.type == "GatedLinear" and self.structure != "gated-linear":
            raise ValueError(
                f"a GatedLinear has `structure: gated-linear`; use DeepRV for {self.structure}"
            )
        if regression and self.latent_dim != "auto":
            raise ValueError(
                f"a {self.type} learns a whole root: leave `latent_dim: auto` "
                f"(got {self.latent_dim})"
            )
        if self.structure == "gated-linear" and isinstance(self.hidden, tuple):
            raise ValueError("a gated-linear decoder has one hidden width, not a list")
        return self


class TrainingConfig(Section):
    """Optimiser, schedule and draws.

    Attributes:
        batch_size: Draws a step; with `draws: columns` it follows from `conditions_per_step`.
        conditions_per_step: Distinct hyperparameter values a step, stratified over their range.
        draws: `random` normals, or `columns`: the n columns of the root times sqrt(n), whose
            second moment is the covariance itself, so that a linear model sees no sampling noise.
        over: Spread the hyperparameters over their `range` (evenly on the transformed scale) or
            over the `hyperprior`.
    """

    steps: PositiveInt = 2000
    batch_size: Size = "auto"
    conditions_per_step: PositiveInt = 16
    draws: Literal["random", "columns"] = "columns"
    over: Literal["range", "hyperprior"] = "range"
    learning_rate: PositiveFloat = 3e-5
    final_learning_rate: NonNegativeFloat = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    clip_norm: PositiveFloat = 10.0
    checkpoint_every: PositiveInt = 500
    log_every: PositiveInt = 50
    keep_checkpoints: PositiveInt = 2

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Self:
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"`checkpoint_every` must be a multiple of `log_every` "
                f"(got {self.checkpoint_every} and {self.log_every})"
            )
        if self.draws == "columns" and self.batch_size != "auto":
            raise ValueError("`draws: columns` fixes the batch size: leave `batch_size: auto`")
        if self.draws == "random" and isinstance(self.batch_size, int):
            if self.batch_size % self.conditions_per_step:
                raise ValueError(
                    f"`batch_size` must be a multiple of `conditions_per_step` "
                    f"(got {self.batch_size} and {self.conditions_per_step})"
                )
        elif self.draws == "random":
            raise ValueError("`draws: random` needs a `batch_size`")
        if self.warmup_steps >= self.steps:
            raise ValueError(f"`warmup_steps` must be below `steps` ({self.steps})")
        return self
