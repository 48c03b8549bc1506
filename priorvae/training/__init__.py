"""Training: draws, one jitted step, schedule, checkpoints, the loop."""

from priorvae.training.draws import DrawSource, build_draws
from priorvae.training.loop import Trained, train
from priorvae.training.sources import draws_for

__all__ = ["DrawSource", "Trained", "build_draws", "draws_for", "train"]
