"""The optimiser: Adam with clipping, warm-up and cosine decay; averaged weights."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from priorvae.config import TrainingConfig

__all__ = ["learning_rate", "moving_average", "optimiser"]


def learning_rate(config: TrainingConfig) -> optax.Schedule:
    """Return the rate by step: linear warm-up, then a cosine to `final_learning_rate`."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=config.steps,
        end_value=config.final_learning_rate,
    )


def optimiser(config: TrainingConfig) -> optax.GradientTransformation:
    """Return Adam on gradients clipped to a global norm."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm), optax.adam(learning_rate(config))
    )


def moving_average(average: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Return `d average + (1 - d) params`, or None where no average is kept.

    `d` is the decay, but `(1 + step) / (10 + step)` where that is less, so that the first steps
    soon leave a random start behind.

    Source: Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.
    """
    if average is None:
        return None
    kept = jnp.minimum(decay, (1 + step) / (10 + step)).astype(jnp.float32)
    return jax.tree.map(lambda a, p: kept * a + (1 - kept) * p, average, params)
