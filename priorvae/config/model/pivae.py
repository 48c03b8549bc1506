"""piVAE: weights of features of a place, so that a decoder knows its prior at any place."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from priorvae.config.section import Section
from priorvae.config.size import Size

__all__ = [
    "CosineFeaturesConfig",
    "FeaturesConfig",
    "NetworkFeaturesConfig",
    "PiVAEConfig",
    "RootWeightsConfig",
    "TableWeightsConfig",
    "WeightsConfig",
]


class CosineFeaturesConfig(Section):
    """Cosines over a box around the map, onto which the process itself is projected.

    Attributes:
        number: How many; `auto` for as many as the covariance takes.
    """

    kind: Literal["cosine"] = "cosine"
    number: Size = "auto"


class NetworkFeaturesConfig(Section):
    """The published features: radial basis functions and a network, learnt with the weights.

    Attributes:
        number: How many features; a constant one is added, for the bias.
        centres: Of the radial functions.
        hidden: Widths of the layers between them and the features.
    """

    kind: Literal["network"]
    number: PositiveInt = 50
    centres: PositiveInt = 100
    hidden: tuple[PositiveInt, ...] = (100, 100)


class RootWeightsConfig(Section):
    """The weights' own prior, by regression on a root of their covariance.

    Attributes:
        hidden: Width of the gated linear decoder; `auto` for the number of features and
            a quarter of it, or up to 60, more.
        sweeps: Of the alternating least squares that training starts from.
    """

    kind: Literal["root"] = "root"
    hidden: Size = "auto"
    sweeps: PositiveInt = 40


class TableWeightsConfig(Section):
    """The published weights: a table with a row for each of a set of functions, and a VAE on it.

    Attributes:
        functions: Rows of the table: draws of the process that are fixed before training.
        latent_dim: Length of z.
        hidden: Widths of the decoder's hidden layers; the encoder has them in reverse order.
        activation: Of both.
        likelihood_variance: The bound's variance; 0.5 for the published sum of squares.
    """

    kind: Literal["table"]
    functions: PositiveInt = 1000
    latent_dim: PositiveInt = 20
    hidden: tuple[PositiveInt, ...] = (64, 128)
    activation: Literal["relu", "elu", "gelu", "tanh", "sigmoid", "softplus"] = "tanh"
    likelihood_variance: PositiveFloat = 0.5


FeaturesConfig = Annotated[
    CosineFeaturesConfig | NetworkFeaturesConfig, Field(discriminator="kind")
]
WeightsConfig = Annotated[RootWeightsConfig | TableWeightsConfig, Field(discriminator="kind")]


class PiVAEConfig(Section):
    """`f(s) = D(z, theta)' Phi(s)`: features of a place, and a decoder of their weights.

    Attributes:
        conditional: Whether the decoder is given the hyperparameters.
        margin: Width of the strip around the areas' centroids where places still count, in
            extents.
        features: What `Phi` is.
        weights: What `D` learns.
    """

    type: Literal["piVAE"]
    conditional: bool = True
    margin: NonNegativeFloat = 0.05
    features: FeaturesConfig = CosineFeaturesConfig()
    weights: WeightsConfig = RootWeightsConfig()

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = {"cosine": "root", "network": "table"}
        needed = pairs[self.features.kind]
        if self.weights.kind != needed:
            raise ValueError(
                f"features of kind {self.features.kind} go with `weights: {{kind: {needed}}}` "
                f"(got {self.weights.kind}): only cosines have weights of known covariance"
            )
        return self
