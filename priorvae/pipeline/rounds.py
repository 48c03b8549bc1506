"""What is tried next while the certificate fails: more training, then a wider decoder."""

from __future__ import annotations

import math
from typing import Any

from priorvae.config import LearntConfig, PiVAEConfig, RunConfig, VAEConfig
from priorvae.config.section import Section
from priorvae.objectives.pivae import more_features
from priorvae.objectives.structures import widths
from priorvae.processes import Process

__all__ = ["in_words", "round_config"]

LONGER = 2
"""Steps of a longer training, in those of the one before."""

CLOSER = 0.3
"""Likelihood variance of a longer training, in that of the one before."""

GENTLER = 1 / 3
"""Its learning rate: at the old one the steps' own noise may be what is left, and a smaller
likelihood variance makes it larger."""

WIDER = 1.5
"""Width of a wider decoder, in that of the one before."""


def round_config(config: RunConfig, process: Process, number: int) -> RunConfig:
    """Return what the `number`-th training of a run is configured as; the first one as the run.

    The second goes on from the first's weights with more and smaller steps and a likelihood
    variance nearer zero. The third has a wider decoder, or more features of a place, and starts
    anew; the fourth goes on from that, and so on.

    Args:
        config: The run's configuration.
        process: What is learnt.
        number: From 1 to `training.rounds`.
    """
    longer, wider = number // 2, (number - 1) // 2
    model, training = config.model, config.training
    if number == 1 or not isinstance(model, LearntConfig | PiVAEConfig):
        return config
    changes: dict[str, Any] = {}
    if isinstance(model, VAEConfig):
        changes["likelihood_variance"] = model.likelihood_variance * CLOSER**longer
    if wider:
        factor = WIDER**wider
        changes |= (
            more_features(model, process, factor)
            if isinstance(model, PiVAEConfig)
            else _widened(model, process, factor)
        )
    rate = training.learning_rate * GENTLER**longer
    steps = {"steps": training.steps * LONGER**longer, "learning_rate": rate}
    return config.model_copy(
        update={
            "model": model.model_copy(update=changes),
            "training": training.model_copy(update=steps),
        }
    )


def in_words(before: RunConfig, after: RunConfig) -> str:
    """Say what one training has other than another, such as `training.steps 4000`."""
    changed = [
        f"{name}.{key} {_shown(value)}"
        for name in ("training", "model")
        for key, value in _items(getattr(after, name))
        if value != getattr(getattr(before, name), key)
    ]
    return ", ".join(changed)


def _items(section: Section) -> list[tuple[str, Any]]:
    return [(key, getattr(section, key)) for key in type(section).model_fields]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _widened(model: LearntConfig, process: Process, factor: float) -> dict[str, Any]:
    """Return the wider layers, more latents where their number was chosen, and a longer start."""
    found = tuple(math.ceil(factor * width) for width in widths(model, process))
    changes: dict[str, Any] = {"warm_start_sweeps": math.ceil(factor * model.warm_start_sweeps)}
    if found:
        changes["hidden"] = found[0] if len(found) == 1 else found
    if model.latent_dim != "auto":
        changes["latent_dim"] = math.ceil(factor * model.latent_dim)
    return changes
