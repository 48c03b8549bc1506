"""The decoder of a run: a file for each family of types, chosen by `type`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from priorvae.config.model.auto import AutoConfig
from priorvae.config.model.bound import BoundConfig, ElboConfig, MMDConfig, RenyiConfig
from priorvae.config.model.engression import EngressionConfig
from priorvae.config.model.learnt import LearntConfig
from priorvae.config.model.pivae import (
    CosineFeaturesConfig,
    NetworkFeaturesConfig,
    PiVAEConfig,
    RootWeightsConfig,
    TableWeightsConfig,
)
from priorvae.config.model.reference import ReferenceConfig
from priorvae.config.model.regression import RegressionConfig
from priorvae.config.model.tokens import TokensConfig
from priorvae.config.model.vae import VAEConfig

__all__ = [
    "AutoConfig",
    "BoundConfig",
    "CosineFeaturesConfig",
    "ElboConfig",
    "EngressionConfig",
    "LearntConfig",
    "MMDConfig",
    "ModelConfig",
    "NetworkFeaturesConfig",
    "PiVAEConfig",
    "ReferenceConfig",
    "RegressionConfig",
    "RenyiConfig",
    "RootWeightsConfig",
    "TableWeightsConfig",
    "TokensConfig",
    "VAEConfig",
]

ModelConfig = Annotated[
    VAEConfig | EngressionConfig | RegressionConfig | PiVAEConfig | ReferenceConfig | AutoConfig,
    Field(discriminator="type"),
]
