"""Mean and variance of a process at the middle of its range, before anything is learnt of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from priorvae.errors import ProcessError, preview
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.finite import in_words
from priorvae.processes.samplers import build_sampler

__all__ = ["NUM_DRAWS", "Pilot", "pilot"]

NUM_DRAWS = 1024
"""Draws behind the moments of a process that is known by its draws alone."""


class Pilot(NamedTuple):
    """Moments at the middle of the hyperparameters' ranges."""

    mean: np.ndarray
    """Shape `(size,)`, float64."""
    variance: np.ndarray
    """Shape `(size,)`, float64, positive."""


def pilot(process: Process) -> Pilot:
    """Return a Gaussian process's moments, or those of draws, always the same, of another.

    Raises:
        ProcessError: Draws are not finite, or hold a value that is the same in all of them.
    """
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    if isinstance(process, Gaussian):
        return Pilot(np.zeros(process.size), np.diag(process.covariance(middle)))
    import jax

    columns = {name: np.full(NUM_DRAWS, value) for name, value in middle.items()}
    fields = build_sampler(process).sample(jax.random.key(0), columns, NUM_DRAWS)
    constant = np.flatnonzero(np.ptp(fields, axis=0) == 0)
    if len(constant) > 0:
        raise ProcessError(
            f"{process.kind}: {preview(process.sites[i] for i in constant)} had one and the same "
            f"value in {NUM_DRAWS} draws, with {in_words(process.all_hyper(middle))}; a prior must "
            "vary everywhere, so leave such areas out of the map"
        )
    return Pilot(fields.mean(axis=0), fields.var(axis=0, ddof=1))
