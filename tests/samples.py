"""Bundles for tests: the analytic decoder of a process, so nothing to train and nothing made up."""

from typing import Any

from priorvae.bundles import Bundle, describe
from priorvae.objectives import reference_decoder
from priorvae.processes import Gaussian


def reference_bundle(process: Gaussian, **changes: Any) -> Bundle:
    """The reference decoder of a process as a bundle, the same at any time of day."""
    decoder, weights = reference_decoder(process)
    info = describe(decoder, weights, process, name="test", type="reference", seed=3)
    fixed = {"created": "2026-01-01T00:00:00+00:00", "git_commit": None, **changes}
    return Bundle(info.model_copy(update=fixed), process.areas, weights)
