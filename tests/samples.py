"""Bundles for tests: the analytic decoder of a process, so nothing to train and nothing made up."""

from typing import Any

import numpy as np

from priorvae.bundles import Bundle, describe
from priorvae.config import (
    CosineFeaturesConfig,
    PiVAEConfig,
    ProcessConfig,
    RootWeightsConfig,
)
from priorvae.objectives import build_objective, finished, reference_decoder
from priorvae.processes import GP, Condition, Gaussian
from priorvae.processes.build import read_process


def reference_bundle(
    process: Gaussian, config: ProcessConfig | None = None, **changes: Any
) -> Bundle:
    """The reference decoder of a process as a bundle, the same at any time of day."""
    decoder, weights = reference_decoder(process)
    config = config or config_of(process)
    info = describe(decoder, weights, process, config, name="test", type="reference", seed=3)
    fixed = {"created": "2026-01-01T00:00:00+00:00", "git_commit": None, **changes}
    return Bundle(info.model_copy(update=fixed), process.areas, weights, arrays=process.arrays)


def places_bundle(process: Gaussian, number: int = 40) -> Bundle:
    """A piVAE as its training starts with it, as a bundle: it knows other places too."""
    weights = RootWeightsConfig(sweeps=20)
    features = CosineFeaturesConfig(number=number)
    model = PiVAEConfig(type="piVAE", features=features, weights=weights)
    objective = build_objective(model, process)
    start = objective.initial(0).decoder.weights
    found = finished(objective, {name: np.asarray(v[...]) for name, v in start.items()})
    info = describe(
        found.decoder,
        found.weights,
        process,
        config_of(process),
        name="test",
        type="piVAE",
        seed=3,
        features=found.features,
    )
    return Bundle(info, process.areas, found.weights, features=found.features)


def config_of(process: Gaussian) -> ProcessConfig:
    """The configuration of a process of one kernel, or on a graph."""
    record: dict[str, Any] = {"kind": process.kind, **process.fixed}
    if isinstance(process, GP):
        record |= {"kernel": process.kernel, "nugget": process.nugget}
    return read_process(record | {c.name: _hyper(c) for c in process.conditions})


def _hyper(condition: Condition) -> dict[str, Any]:
    hyper = {"distribution": condition.distribution, "low": condition.low, "high": condition.high}
    return {**hyper, "unit": condition.unit, **condition.parameters}
