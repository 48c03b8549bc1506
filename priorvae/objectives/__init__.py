"""What is learnt: encoders, evidence lower bounds, warm starts and the reference decoder."""

from priorvae.objectives.build import build_objective
from priorvae.objectives.choice import Choice, choose
from priorvae.objectives.finish import finished
from priorvae.objectives.implicit import require_learnable
from priorvae.objectives.objective import Batch, Finished, Objective
from priorvae.objectives.reference import reference_decoder
from priorvae.objectives.vae import VAE

__all__ = [
    "VAE",
    "Batch",
    "Choice",
    "Finished",
    "Objective",
    "build_objective",
    "choose",
    "finished",
    "reference_decoder",
    "require_learnable",
]
