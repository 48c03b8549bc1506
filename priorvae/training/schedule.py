"""The optimiser: Adam with clipping, warm-up and cosine decay."""

import optax

from priorvae.config import TrainingConfig

__all__ = ["learning_rate", "optimiser"]


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
