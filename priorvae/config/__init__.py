"""One validated configuration a run; a file for each section of the YAML."""

from priorvae.config.aggregated import AggregatedConfig, PointsConfig, PopulationConfig
from priorvae.config.areas import AreasConfig
from priorvae.config.certificate import CalibrationConfig, CertificateConfig, PosteriorConfig
from priorvae.config.choice import AlternativeConfig, ChoiceConfig
from priorvae.config.function import FunctionConfig
from priorvae.config.gp import AnisotropyConfig, GPConfig, KernelConfig, TermConfig
from priorvae.config.graph import BYM2Config, CARConfig, ICARConfig, LerouxConfig, SARConfig
from priorvae.config.hyper import HyperConfig
from priorvae.config.model import (
    AutoConfig,
    BoundConfig,
    CosineFeaturesConfig,
    ElboConfig,
    EngressionConfig,
    LearntConfig,
    MMDConfig,
    ModelConfig,
    NetworkFeaturesConfig,
    PiVAEConfig,
    ReferenceConfig,
    RegressionConfig,
    RenyiConfig,
    RootWeightsConfig,
    TableWeightsConfig,
    TokensConfig,
    VAEConfig,
)
from priorvae.config.multivariate import MultivariateConfig
from priorvae.config.processes import ProcessConfig
from priorvae.config.run import RunConfig, dump_config, load_config, parse_config
from priorvae.config.spacetime import (
    AR1Config,
    GneitingConfig,
    RandomWalkConfig,
    SpaceTimeConfig,
)
from priorvae.config.spatial import SpatialConfig
from priorvae.config.training import TrainingConfig

__all__ = [
    "AR1Config",
    "AggregatedConfig",
    "AlternativeConfig",
    "AnisotropyConfig",
    "AreasConfig",
    "AutoConfig",
    "BYM2Config",
    "BoundConfig",
    "CARConfig",
    "CalibrationConfig",
    "CertificateConfig",
    "ChoiceConfig",
    "CosineFeaturesConfig",
    "ElboConfig",
    "EngressionConfig",
    "FunctionConfig",
    "GPConfig",
    "GneitingConfig",
    "HyperConfig",
    "ICARConfig",
    "KernelConfig",
    "LearntConfig",
    "LerouxConfig",
    "MMDConfig",
    "ModelConfig",
    "MultivariateConfig",
    "NetworkFeaturesConfig",
    "PiVAEConfig",
    "PointsConfig",
    "PopulationConfig",
    "PosteriorConfig",
    "ProcessConfig",
    "RandomWalkConfig",
    "ReferenceConfig",
    "RegressionConfig",
    "RenyiConfig",
    "RootWeightsConfig",
    "RunConfig",
    "SARConfig",
    "SpaceTimeConfig",
    "SpatialConfig",
    "TableWeightsConfig",
    "TermConfig",
    "TokensConfig",
    "TrainingConfig",
    "VAEConfig",
    "dump_config",
    "load_config",
    "parse_config",
]
