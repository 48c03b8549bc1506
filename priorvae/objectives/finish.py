"""From what training leaves to what a bundle holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from priorvae.objectives.functions import FunctionTable
from priorvae.objectives.objective import Finished, Objective
from priorvae.objectives.pivae import PiVAE

__all__ = ["finished"]


def finished(objective: Objective, weights: Mapping[str, np.ndarray]) -> Finished:
    """Return an objective's decoder with its trained weights, at the areas.

    Most train the decoder of the areas itself; a piVAE trains what its features at the areas then
    complete.
    """
    if isinstance(objective, PiVAE | FunctionTable):
        return objective.finish(weights)
    return Finished(objective.decoder, weights)
