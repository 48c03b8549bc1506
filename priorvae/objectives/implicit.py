"""What it takes to learn a process that is known by its draws alone."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from priorvae.config import (
    EngressionConfig,
    ModelConfig,
    PiVAEConfig,
    TrainingConfig,
    VAEConfig,
)
from priorvae.errors import ConfigError
from priorvae.objectives.bounds import AutoEncoder
from priorvae.objectives.encoders import DiagonalEncoder
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.cosines import require_continuous
from priorvae.processes.pilot import Pilot

__all__ = ["require_learnable", "standardise"]

TYPES = ("Engression", "PriorVAE", "PriorCVAE", "aggVAE")


def require_learnable(model: ModelConfig, training: TrainingConfig, process: Process) -> None:
    """Refuse what needs a covariance, for a process that has none.

    Raises:
        ConfigError: Lists every key that must be another.
        ProcessError: A piVAE is asked for, and the process does not exist between the areas.
    """
    if isinstance(model, PiVAEConfig):
        require_continuous(process, "a piVAE")
    if isinstance(process, Gaussian):
        return
    why = f"{process.kind} is known by its draws alone"
    if not isinstance(model, EngressionConfig | VAEConfig):
        raise ConfigError(
            f"model.type: {model.type} needs a covariance, and {why}; use one of {', '.join(TYPES)}"
        )
    needed: list[tuple[str, str, str]] = [("training.draws", training.draws, "random")]
    if isinstance(model, VAEConfig):
        needed = [
            ("model.structure", model.structure, "mlp"),
            ("model.warm_start", model.warm_start, "none"),
            ("model.encoder", model.encoder, "diagonal"),
            *needed,
        ]
    wrong = [(key, given, value) for key, given, value in needed if given != value]
    if wrong:
        lines = [f"{key}: must be `{v}` (got {given!r}), for {why}" for key, given, v in wrong]
        raise ConfigError("\n".join(lines))


def standardise(model: AutoEncoder, moments: Pilot) -> AutoEncoder:
    """Let an `mlp` start as if the process had mean 0 and variance 1, whatever its units are.

    The decoder's last layer is scaled by the standard deviations and moved by the mean; the
    encoder's first layer undoes both. Nothing but the starting point of training depends on it.
    """
    sd = jnp.asarray(np.sqrt(moments.variance), jnp.float32)
    mean = jnp.asarray(moments.mean, jnp.float32)
    last = f"layers.{len(model.decoder.decoder.layers) - 1}"
    kernel, bias = (model.decoder.weights[f"{last}.{name}"] for name in ("kernel", "bias"))
    kernel[...] = kernel[...] * sd
    bias[...] = bias[...] * sd + mean
    assert isinstance(model.encoder, DiagonalEncoder)
    for layer in model.encoder.first:
        rows = layer.kernel[...]
        own = rows[: len(sd)] / sd[:, None]
        layer.kernel[...] = rows.at[: len(sd)].set(own)
        assert layer.bias is not None
        layer.bias[...] = layer.bias[...] - mean @ own
    return model
