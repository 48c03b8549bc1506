"""A small bundle of every model type, untrained: what each engine must decode alike."""

from functools import cache
from typing import Any

import numpy as np
import pydantic

from priorvae.areas import read_areas
from priorvae.bundles import Bundle, describe
from priorvae.config import ModelConfig, ReferenceConfig
from priorvae.decoders import Decoder
from priorvae.objectives import build_objective, finished, reference_decoder
from priorvae.processes import Process, build_process
from priorvae.processes.base import require_gaussian
from priorvae.processes.build import read_process

__all__ = ["TYPES", "bundle_of"]

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
GP = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
AGGREGATED = {"kind": "aggregated", "of": GP, "cells": 48}
AMPLITUDE = {"distribution": "uniform", "low": 0.2, "high": 1.0}
RISK = {**AGGREGATED, "nonlinearity": "exp", "amplitude": AMPLITUDE}
LEROUX = {
    "kind": "leroux",
    "rho": {"distribution": "beta", "low": 0.0, "high": 0.99, "a": 2, "b": 2},
}
KERNELS = {
    "kind": "gp",
    "kernel": "categorical",
    "among": ["rbf", "matern12", "matern32"],
    "lengthscale": LENGTHSCALE,
}

MLP = {
    "structure": "mlp",
    "hidden": [8, 7],
    "latent_dim": 5,
    "encoder": "diagonal",
    "warm_start": "none",
}
FILM = {"structure": "film-mlp", "hidden": [8, 7], "activation": "gelu"}
TOKENS = {"hidden": [4, 6], "activation": "gelu", "tokens": {"blocks": 1}}

TYPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "PriorVAE": (GP, {"type": "PriorVAE", **MLP}),
    "PriorCVAE": (GP, {"type": "PriorCVAE", **MLP, "activation": "tanh"}),
    "PriorCVAE, gated linear": (LEROUX, {"type": "PriorCVAE"}),
    "PriorCVAE of several kernels": (KERNELS, {"type": "PriorCVAE"}),
    "piVAE": (GP, {"type": "piVAE", "features": {"kind": "cosine", "number": 30}}),
    "aggVAE": (AGGREGATED, {"type": "aggVAE"}),
    "DeepRV": (GP, {"type": "DeepRV", **FILM}),
    "DeepRV, gMLP": (GP, {"type": "DeepRV", "structure": "gmlp", **TOKENS}),
    "DeepRV, attention": (GP, {"type": "DeepRV", "structure": "attention", **TOKENS}),
    "GatedLinear": (GP, {"type": "GatedLinear"}),
    "reference": (GP, {"type": "reference"}),
    "Engression": (RISK, {"type": "Engression", "output": "exp"}),
}  # fmt: skip

_MODEL: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ModelConfig)


@cache
def bundle_of(name: str) -> Bundle:
    """Return the bundle of one of `TYPES`, on a map of 3 x 4 squares.

    Training would start from its weights; a little noise on them, so that no branch is nought.
    """
    record, model = TYPES[name]
    config = read_process(record)
    process = build_process(config, read_areas("grid:3x4"))
    decoder, start, features = _start(_MODEL.validate_python(model), process)
    rng = np.random.default_rng(4)
    weights = {
        key: (value + 0.1 * rng.normal(size=value.shape)).astype(np.float32)
        for key, value in start.items()
    }
    info = describe(
        decoder,
        weights,
        process,
        config,
        name="test",
        type=model["type"],
        seed=3,
        features=features,
    )
    info = info.model_copy(update={"created": "2026-01-01T00:00:00+00:00", "git_commit": None})
    return Bundle(info, process.areas, weights, arrays=process.arrays, features=features)


def _start(model: Any, process: Process) -> tuple[Decoder, dict[str, np.ndarray], Any]:
    if isinstance(model, ReferenceConfig):
        decoder, weights = reference_decoder(require_gaussian(process, "a reference"))
        return decoder, dict(weights), None
    objective = build_objective(model, process)
    start = objective.initial(0).decoder.weights
    found = finished(objective, {name: np.asarray(v[...]) for name, v in start.items()})
    return found.decoder, dict(found.weights), found.features
