"""The priors that are simulated: kernels, Gaussian processes, conditional autoregressions."""

from priorvae.processes.base import Gaussian, Process
from priorvae.processes.build import build_process
from priorvae.processes.car import ProperCAR
from priorvae.processes.conditions import Condition
from priorvae.processes.gp import GP
from priorvae.processes.roots import InterpolatedRoot, symmetric_root

__all__ = [
    "GP",
    "Condition",
    "Gaussian",
    "InterpolatedRoot",
    "Process",
    "ProperCAR",
    "build_process",
    "symmetric_root",
]
