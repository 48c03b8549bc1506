"""Which draws an objective is trained on."""

from __future__ import annotations

from typing import Literal

from priorvae.config import TrainingConfig
from priorvae.objectives.functions import FunctionTable
from priorvae.objectives.objective import Objective
from priorvae.objectives.pivae import PiVAE
from priorvae.processes.base import Process, require_gaussian
from priorvae.training.draws import DrawSource, RootDraws, build_draws
from priorvae.training.functions import FunctionDraws

__all__ = ["draws_for"]


def draws_for(
    objective: Objective,
    process: Process,
    config: TrainingConfig,
    seed: int,
    root: Literal["symmetric", "cholesky"] = "symmetric",
) -> DrawSource:
    """Return an objective's training draws.

    Most are trained on draws of the process at the areas; a piVAE on its features' weights, or on
    a fixed set of functions.
    """
    if isinstance(objective, PiVAE):
        return RootDraws.of(objective.root, objective.decoder.conditions, config)
    if isinstance(objective, FunctionTable):
        gaussian = require_gaussian(process, "a table of functions")
        return FunctionDraws.build(gaussian, config, objective.config.functions, seed)
    return build_draws(process, config, objective.noise, root)
