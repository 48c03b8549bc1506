"""What an encoder and a decoder are trained by: a bound of the evidence, or a discrepancy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from priorvae.config.section import Section

__all__ = ["BoundConfig", "ElboConfig", "MMDConfig", "RenyiConfig"]


class ElboConfig(Section):
    """The evidence lower bound."""

    kind: Literal["elbo"] = "elbo"


class RenyiConfig(Section):
    """The Renyi bound, by importance samples from the encoder.

    Attributes:
        alpha: Order: 1 is the evidence lower bound, 0 the importance-weighted one.
        samples: Importance samples for each draw.
    """

    kind: Literal["renyi"]
    alpha: NonNegativeFloat = 0.5
    samples: Annotated[int, Field(ge=2, le=1000)] = 8


class MMDConfig(Section):
    """Squared error and divergence, and a maximum mean discrepancy between fields.

    Attributes:
        lengthscale: Of the kernel between fields; `auto` for the root mean square distance of two
            draws at mid-range.
        against: What draws are compared with: their reconstructions, or decoded prior draws.
        condition_lengthscale: Of a kernel between unit conditions that multiplies the other, so
            that fields are compared given theta; None compares them pooled over theta.
        mmd_weight: Weight of the squared discrepancy.
        reconstruction_weight: Weight of the squared error over twice the likelihood variance.
        kl_weight: Weight of the divergence.
    """

    kind: Literal["mmd"]
    lengthscale: PositiveFloat | Literal["auto"] = "auto"
    against: Literal["reconstructions", "prior"] = "reconstructions"
    condition_lengthscale: PositiveFloat | None = None
    mmd_weight: PositiveFloat = 1.0
    reconstruction_weight: NonNegativeFloat = 1.0
    kl_weight: NonNegativeFloat = 1.0


BoundConfig = Annotated[ElboConfig | RenyiConfig | MMDConfig, Field(discriminator="kind")]
