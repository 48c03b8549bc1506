"""Ways to draw many fields, each with hyperparameters of its own; they interchange."""

from priorvae.processes.samplers.base import Hypers, LatentSampler, Sampler
from priorvae.processes.samplers.build import SAMPLERS, build_sampler

__all__ = ["SAMPLERS", "Hypers", "LatentSampler", "Sampler", "build_sampler"]
