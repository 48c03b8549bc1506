"""One validated configuration a run; a file for each section of the YAML."""

from priorvae.config.areas import AreasConfig
from priorvae.config.certificate import CertificateConfig, PosteriorConfig
from priorvae.config.gp import AnisotropyConfig, GPConfig, KernelConfig, TermConfig
from priorvae.config.graph import BYM2Config, CARConfig, ICARConfig, LerouxConfig, SARConfig
from priorvae.config.hyper import HyperConfig
from priorvae.config.model import ModelConfig, TrainingConfig
from priorvae.config.processes import ProcessConfig
from priorvae.config.run import RunConfig, dump_config, load_config, parse_config
from priorvae.config.spatial import SpatialConfig

__all__ = [
    "AnisotropyConfig",
    "AreasConfig",
    "BYM2Config",
    "CARConfig",
    "CertificateConfig",
    "GPConfig",
    "HyperConfig",
    "ICARConfig",
    "KernelConfig",
    "LerouxConfig",
    "ModelConfig",
    "PosteriorConfig",
    "ProcessConfig",
    "RunConfig",
    "SARConfig",
    "SpatialConfig",
    "TermConfig",
    "TrainingConfig",
    "dump_config",
    "load_config",
    "parse_config",
]
