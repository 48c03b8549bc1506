"""Train without some areas of a map, and predict them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from priorvae.areas import read_areas
from priorvae.areas.subset import split, subset
from priorvae.config import RunConfig
from priorvae.evaluation.unseen import UnseenFidelity, unseen_fidelity
from priorvae.listener import Listener, Silent
from priorvae.objectives import require_learnable
from priorvae.pipeline.learning import learn
from priorvae.processes import build_process

__all__ = ["bench_unseen"]


def bench_unseen(
    config: RunConfig,
    *,
    out: Path,
    share: float = 0.2,
    num_data: int = 400,
    noise_sd: float = 0.3,
    listener: Listener | None = None,
) -> UnseenFidelity:
    """Train on a part of a map that the run's seed chooses, and predict the rest.

    Args:
        config: A run whose model knows its prior at other places.
        out: Directory for checkpoints and metrics; made here, and must not exist.
        share: Of the areas, left out of training and of the data.
        num_data: Simulated data sets.
        noise_sd: Standard deviation of the observations; the field's is 1.
        listener: Told about stages and progress.

    Raises:
        InputError: The map or the process cannot be used, or an area left out lies outside the box
            around the others: use a larger `model.margin`.
    """
    areas = read_areas(**config.areas.model_dump())
    rng = np.random.default_rng(config.seed)
    kept, left = split(rng, len(areas), share)
    process = build_process(config.process, subset(areas, kept))
    require_learnable(config.model, config.training, process)
    out.mkdir(parents=True)
    learnt = learn(config, process, out, listener or Silent())
    return unseen_fidelity(rng, learnt.bundle, areas, left, num_data=num_data, noise_sd=noise_sd)
