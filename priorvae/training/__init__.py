"""Training: draws on the device, one jitted step, schedule, checkpoints, the loop."""

from priorvae.training.draws import DrawSource
from priorvae.training.loop import Trained, train

__all__ = ["DrawSource", "Trained", "train"]
