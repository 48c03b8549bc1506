"""Which sampler a process gets, by what it is and how large the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from priorvae.errors import ProcessError, nearest
from priorvae.processes.base import Process
from priorvae.processes.graphfilter import GraphFilter
from priorvae.processes.samplers.base import Sampler
from priorvae.processes.samplers.dense import CholeskySampler, InterpolatedRootSampler
from priorvae.processes.samplers.eigenbasis import EigenbasisSampler
from priorvae.processes.samplers.polynomial import PolynomialSampler
from priorvae.processes.samplers.sparse import IntrinsicSampler, SparseCholeskySampler
from priorvae.processes.spectral import Spectral

__all__ = ["LARGEST_DECOMPOSED", "SAMPLERS", "build_sampler"]

LARGEST_DECOMPOSED = 2500
"""Areas up to which a graph's matrix is decomposed; beyond, sparse methods are quicker to set up
and, with memory for no dense matrix, the only ones."""

SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "cholesky": CholeskySampler,
    "interpolated-root": InterpolatedRootSampler,
    "eigenbasis": EigenbasisSampler,
    "polynomial": PolynomialSampler,
    "sparse-cholesky": SparseCholeskySampler,
    "intrinsic": IntrinsicSampler,
}


def build_sampler(process: Process, name: str = "auto") -> Sampler:
    """Return the named sampler, or for `auto` the quickest that the process allows.

    Raises:
        ProcessError: The name is unknown, or that sampler cannot serve this process.
    """
    if name == "auto":
        name = _quickest(process)
    if name not in SAMPLERS:
        raise ProcessError(
            f"unknown sampler {name!r}{nearest(name, SAMPLERS)}; known: auto, {', '.join(SAMPLERS)}"
        )
    return SAMPLERS[name](process)


def _quickest(process: Process) -> str:
    if isinstance(process, Spectral):
        if process.size <= LARGEST_DECOMPOSED:
            return "eigenbasis"
        return "polynomial" if isinstance(process, GraphFilter) else "intrinsic"
    return "interpolated-root"
