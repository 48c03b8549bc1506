"""Bundles for tests: the analytic decoder of a process, so nothing to train and nothing made up."""

from typing import Any

from priorvae.bundles import Bundle, describe
from priorvae.config import ProcessConfig
from priorvae.objectives import reference_decoder
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


def config_of(process: Gaussian) -> ProcessConfig:
    """The configuration of a process of one kernel, or on a graph."""
    record: dict[str, Any] = {"kind": process.kind, **process.fixed}
    if isinstance(process, GP):
        record |= {"kernel": process.kernel, "nugget": process.nugget}
    return read_process(record | {c.name: _hyper(c) for c in process.conditions})


def _hyper(condition: Condition) -> dict[str, Any]:
    hyper = {"distribution": condition.distribution, "low": condition.low, "high": condition.high}
    return {**hyper, "unit": condition.unit, **condition.parameters}
