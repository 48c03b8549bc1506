"""The priors that are simulated: kernels, Gaussian processes, conditional autoregressions."""

from priorvae.processes.base import Gaussian, Implicit, Layers, Process
from priorvae.processes.build import build_process
from priorvae.processes.bym2 import BYM2
from priorvae.processes.car import ProperCAR
from priorvae.processes.conditions import Condition
from priorvae.processes.gneiting import Gneiting
from priorvae.processes.gp import GP
from priorvae.processes.icar import ICAR
from priorvae.processes.leroux import Leroux
from priorvae.processes.roots import InterpolatedRoot, symmetric_root
from priorvae.processes.sar import SAR
from priorvae.processes.stacked import Stacked

__all__ = [
    "BYM2",
    "GP",
    "ICAR",
    "SAR",
    "Condition",
    "Gaussian",
    "Gneiting",
    "Implicit",
    "InterpolatedRoot",
    "Layers",
    "Leroux",
    "Process",
    "ProperCAR",
    "Stacked",
    "build_process",
    "symmetric_root",
]
