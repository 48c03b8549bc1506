"""How a decoder is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from priorvae.config.section import Section
from priorvae.config.size import Size

__all__ = ["TrainingConfig"]


class TrainingConfig(Section):
    """Optimiser, schedule and draws.

    Attributes:
        batch_size: Draws a step; with `draws: columns` it follows from `conditions_per_step`.
        conditions_per_step: Distinct hyperparameter values a step, stratified over their range.
        draws: `random` normals, or `columns`: the n columns of the root times sqrt(n), whose
            second moment is the covariance itself, so that a linear model sees no sampling noise.
        over: Spread the hyperparameters over their `range` (evenly on the transformed scale) or
            over the `hyperprior`.
        ema_decay: Decay of a moving average of the weights, which then stands in the bundle; 0 for
            the last weights themselves.
        matmul_precision: What a device may compute matrix products in. Devices that round products
            by default (tensorfloat32) must not, where a covariance is to be met to .1 %.
        rounds: Trainings at most: while the certificate fails, the next one has more steps and a
            smaller likelihood variance, then a wider decoder.
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
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    matmul_precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    rounds: PositiveInt = 3

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
