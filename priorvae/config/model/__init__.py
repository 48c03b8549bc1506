"""The decoder of a run: a file for each family of types, chosen by `type`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from priorvae.config.model.bound import BoundConfig, ElboConfig, MMDConfig, RenyiConfig
from priorvae.config.model.learnt import LearntConfig
from priorvae.config.model.reference import ReferenceConfig
from priorvae.config.model.regression import RegressionConfig
from priorvae.config.model.tokens import TokensConfig
from priorvae.config.model.vae import VAEConfig

__all__ = [
    "BoundConfig",
    "ElboConfig",
    "LearntConfig",
    "MMDConfig",
    "ModelConfig",
    "ReferenceConfig",
    "RegressionConfig",
    "RenyiConfig",
    "TokensConfig",
    "VAEConfig",
]

ModelConfig = Annotated[
    VAEConfig | RegressionConfig | ReferenceConfig,
    Field(discriminator="type"),
]
