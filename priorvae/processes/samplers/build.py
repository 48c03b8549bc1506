"""Which sampler a process gets, by what it is and how large the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from priorvae.errors import ProcessError, nearest
from priorvae.processes.aggregated import Aggregated, TransformedAggregate
from priorvae.processes.base import Implicit, Process
from priorvae.processes.graphfilter import GraphFilter
from priorvae.processes.samplers.aggregate import (
    AggregateSampler,
    TransformedAggregateSampler,
    require_aggregate,
)
from priorvae.processes.samplers.base import LatentSampler, Sampler
from priorvae.processes.samplers.circulant import CirculantSampler, lattice_of
from priorvae.processes.samplers.dense import (
    LARGEST_DENSE,
    CholeskySampler,
    InterpolatedRootSampler,
)
from priorvae.processes.samplers.direct import DirectSampler
from priorvae.processes.samplers.eigenbasis import EigenbasisSampler
from priorvae.processes.samplers.kronecker import KroneckerSampler
from priorvae.processes.samplers.polynomial import PolynomialSampler
from priorvae.processes.samplers.sparse import IntrinsicSampler, SparseCholeskySampler
from priorvae.processes.spectral import Spectral
from priorvae.processes.stacked import Stacked

__all__ = ["LARGEST_DECOMPOSED", "SAMPLERS", "build_sampler"]

LARGEST_DECOMPOSED = 2500
"""Areas up to which a graph's matrix is decomposed; beyond, sparse methods are quicker to set up
and, with memory for no dense matrix, the only ones."""

SMALLEST_CIRCULANT = 2500
"""Areas of a regular grid from which circulant embedding is the quicker, unless draws are many: it
makes half as many a second as the interpolated root, which takes a minute to set up, and at 5000
areas just as many."""

_NODES_FOR_A_PRODUCT = 32
"""Entries of a matrix that are multiplied in the time that a node of the torus takes."""


def _kronecker(process: Process) -> KroneckerSampler:
    parts = []
    for part in process.processes if isinstance(process, Stacked) else ():
        sampler = build_sampler(part)
        assert isinstance(sampler, LatentSampler), part.kind  # as those of Gaussian processes are
        parts.append(sampler)
    return KroneckerSampler(process, tuple(parts))  # type: ignore[arg-type]


def _aggregate(process: Process) -> Sampler:
    aggregated = require_aggregate(process)
    fine = build_sampler(aggregated.fine)
    assert isinstance(fine, LatentSampler), aggregated.fine.kind
    if isinstance(aggregated, Aggregated):
        return AggregateSampler(aggregated, fine)
    return TransformedAggregateSampler(aggregated, fine)


SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "cholesky": CholeskySampler,
    "interpolated-root": InterpolatedRootSampler,
    "circulant": CirculantSampler,
    "eigenbasis": EigenbasisSampler,
    "polynomial": PolynomialSampler,
    "sparse-cholesky": SparseCholeskySampler,
    "intrinsic": IntrinsicSampler,
    "direct": DirectSampler,
    "kronecker": _kronecker,
    "aggregate": _aggregate,
}


def build_sampler(process: Process, name: str = "auto") -> Sampler:
    """Return the named sampler, or for `auto` the quickest that the process allows.

    Raises:
        ProcessError: The name is unknown, or that sampler cannot serve this process.
    """
    if name == "auto":
        embedded = _circulant(process)
        if embedded is not None:
            return embedded
        name = _quickest(process)
    if name not in SAMPLERS:
        raise ProcessError(
            f"unknown sampler {name!r}{nearest(name, SAMPLERS)}; known: auto, {', '.join(SAMPLERS)}"
        )
    return SAMPLERS[name](process)


def _circulant(process: Process) -> CirculantSampler | None:
    """Return the sampler of regular grids, where it is the quickest or no other can serve.

    Raises:
        ProcessError: The grid is too large for any other, and its lengthscales too long for this.
    """
    if process.size < SMALLEST_CIRCULANT or lattice_of(process) is None:
        return None
    sampler = CirculantSampler(process)  # type: ignore[arg-type]
    if process.size > LARGEST_DENSE:
        return sampler
    quick = _NODES_FOR_A_PRODUCT * sampler.embedding.torus.num_nodes <= process.size**2
    return sampler if quick and sampler.is_accurate else None


def _quickest(process: Process) -> str:
    if isinstance(process, Stacked):
        return "kronecker"
    if isinstance(process, Spectral):
        if process.size <= LARGEST_DECOMPOSED:
            return "eigenbasis"
        return "polynomial" if isinstance(process, GraphFilter) else "intrinsic"
    if isinstance(process, TransformedAggregate):
        return "aggregate"
    return "direct" if isinstance(process, Implicit) else "interpolated-root"
