"""Benchmarks: this package and its strongest rivals, measured side by side in one run."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.spatial import Delaunay
from threadpoolctl import threadpool_limits

from priorvae.areas import Areas, read_areas
from priorvae.areas.types import Provenance
from priorvae.config import ProcessConfig, RunConfig
from priorvae.listener import Listener, Silent
from priorvae.pipeline.throughput import TrainingSteps
from priorvae.processes import Process, build_process
from priorvae.processes.build import read_process
from priorvae.processes.graphfilter import GraphFilter
from priorvae.processes.samplers import Sampler, build_sampler
from priorvae.processes.simulate import block_size, draw_block

__all__ = [
    "SimulationTiming",
    "TrainingShare",
    "bench_simulate",
    "bench_training",
    "cost_exponents",
    "triangulated",
]

LARGEST_GP = 2000
"""Areas up to which a GP on irregular points is timed; beyond, one thread sets up for minutes."""

LARGEST_CHOLESKY = 2500
"""Areas up to which the rival is a dense Cholesky factorisation for each draw."""

_SMALLEST_FOR_EXPONENT = 450


class SimulationTiming(NamedTuple):
    """Draws of one process on one map, by its own sampler and by a factorisation for each draw."""

    process: str
    areas: int
    sampler: str
    error: float
    """Relative error of the sampler's root."""
    setup_seconds: float
    """CPU seconds before the first draw."""
    draws_per_second: float
    """Draws per CPU second, each with fresh hyperparameters."""
    rival: str | None
    """What it is compared with: `cholesky`, or `sparse-cholesky` on large graphs."""
    rival_per_second: float | None
    """Draws per CPU second with a fresh factorisation for each."""
    peak_gib: float
    """Most memory the benchmark has held so far."""

    @property
    def ratio(self) -> float | None:
        """How many times quicker than the rival."""
        return (
            None if self.rival_per_second is None else self.draws_per_second / self.rival_per_second
        )


class TrainingShare(NamedTuple):
    """What simulation takes of a training step."""

    simulate_seconds: float
    """Of drawing one batch."""
    step_seconds: float
    """Of a whole step, drawing included."""

    @property
    def share(self) -> float:
        """Simulation as a fraction of the step."""
        return self.simulate_seconds / self.step_seconds


class _Case(NamedTuple):
    """A process that is timed, on maps up to some size."""

    name: str
    process: ProcessConfig
    largest: int
    map: Callable[[int], Areas]


def triangulated(num_areas: int, seed: int = 0) -> Areas:
    """Return a map of points drawn uniformly in a square of 1000 km, joined by triangulation."""
    points = np.random.default_rng(seed).random((num_areas, 2)) * 1000
    corners = Delaunay(points).simplices
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    edges = np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)
    ids = tuple(map(str, range(1, num_areas + 1)))
    return Areas(
        ids=ids,
        names=ids,
        edges=edges,
        bridge=np.zeros(len(edges), dtype=bool),
        centroids=points,
        extent=1000.0,
        crs=None,
        provenance=Provenance(f"triangulation of {num_areas} points"),
    )


def _square(num_areas: int) -> Areas:
    side = math.isqrt(num_areas)
    return read_areas(f"grid:{side}x{math.ceil(num_areas / side)}")


_LENGTHSCALE = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
_DEPENDENCE = {"distribution": "uniform", "low": 0.0, "high": 0.99}
_GP = read_process({"kind": "gp", "kernel": "matern32", "lengthscale": _LENGTHSCALE})
_CASES = (
    _Case("gp", _GP, LARGEST_GP, triangulated),
    _Case("gp on a grid", _GP, 50_000, _square),
    _Case("car", read_process({"kind": "car", "alpha": _DEPENDENCE}), 50_000, triangulated),
    _Case("leroux", read_process({"kind": "leroux", "rho": _DEPENDENCE}), 50_000, triangulated),
    _Case(
        "bym2",
        read_process({"kind": "bym2", "rho": {"distribution": "uniform", "low": 0.0, "high": 1.0}}),
        50_000,
        triangulated,
    ),
)
CASES = tuple(case.name for case in _CASES)
"""Names of the processes that are timed."""


def bench_simulate(
    sizes: Sequence[int],
    *,
    processes: Sequence[str] = CASES,
    seconds: float = 3.0,
    listener: Listener | None = None,
) -> list[SimulationTiming]:
    """Time the simulators on maps of the given numbers of areas.

    Maps are triangulated random points, and square grids for `gp on a grid`. Seconds are of one
    CPU, and matrix products run on one thread, so that none is spent on waiting for others.
    Setting up is apart: it is done once for a map. A process whose method does not reach a size
    is left out there.

    Args:
        sizes: Numbers of areas.
        processes: Which of `CASES`.
        seconds: Least CPU seconds that each figure is measured over.
        listener: Told about the stages.
    """
    listener = listener or Silent()
    timings = []
    with threadpool_limits(1, user_api="blas"):
        for size in sizes:
            for case in _CASES:
                if case.name in processes and size <= case.largest:
                    listener.stage(f"{case.name}, {size} areas")
                    process = build_process(case.process, case.map(size))
                    timings.append(_time(case.name, process, seconds))
    return timings


def cost_exponents(timings: Sequence[SimulationTiming]) -> dict[str, float]:
    """Return the power of n that the time of a draw grows with, by `process by sampler`.

    Fitted by least squares on logarithms over maps of some hundred areas and more, for samplers
    timed on at least two of them.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for timing in timings:
        for sampler, rate in (
            (timing.sampler, timing.draws_per_second),
            (timing.rival, timing.rival_per_second),
        ):
            if rate is not None and timing.areas >= _SMALLEST_FOR_EXPONENT:
                name = f"{timing.process} by {sampler}"
                points.setdefault(name, []).append((math.log(timing.areas), -math.log(rate)))
    return {
        name: float(np.polyfit(sizes, times, 1)[0])
        for name, found in points.items()
        for sizes, times in [np.array(found).T]
        if len(found) > 1
    }


def bench_training(config: RunConfig, *, seconds: float = 3.0) -> TrainingShare:
    """Time the simulation in a training step of a configuration, and the whole step."""
    steps, number = TrainingSteps.build(config), jax.numpy.arange(8)

    @jax.jit
    def simulate(numbers: jax.Array) -> jax.Array:
        # A sum that needs every draw, so that none is optimised away.
        return jax.lax.map(
            lambda i: steps.draws.batch(jax.random.fold_in(jax.random.key(0), i)).draws.sum(),
            numbers,
        )

    with threadpool_limits(1, user_api="blas"):
        whole = _seconds_a_call(
            lambda: jax.block_until_ready(steps.run(steps.state, number)), seconds
        )
        alone = _seconds_a_call(lambda: jax.block_until_ready(simulate(number)), seconds)
    return TrainingShare(alone / len(number), whole / len(number))


def _seconds_a_call(call: Callable[[], object], seconds: float) -> float:
    call()  # compiles
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        call()
        calls += 1
    return spent / calls


def _time(name: str, process: Process, seconds: float) -> SimulationTiming:
    start = time.process_time()
    own = build_sampler(process)
    _draw(process, own, 0, 1)
    setup = time.process_time() - start
    rate = _rate(process, own, block_size(process), seconds)
    rival = _rival(process)
    return SimulationTiming(
        process=name,
        areas=len(process.areas),
        sampler=own.name,
        error=own.error,
        setup_seconds=setup,
        draws_per_second=rate,
        rival=rival,
        rival_per_second=_rate(process, build_sampler(process, rival), 4, seconds)
        if rival
        else None,
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def _rival(process: Process) -> str | None:
    if process.size <= LARGEST_CHOLESKY:
        return "cholesky"
    return "sparse-cholesky" if isinstance(process, GraphFilter) else None


def _rate(process: Process, sampler: Sampler, batch: int, seconds: float) -> float:
    """Return draws per CPU second, each with hyperparameters of its own."""
    _draw(process, sampler, 0, batch)  # compiles what draws the normals
    drawn, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        _draw(process, sampler, drawn, batch)
        drawn += batch
    return drawn / spent


def _draw(process: Process, sampler: Sampler, seed: int, num_draws: int) -> None:
    draw_block(jax.random.key(seed), process, sampler, num_draws)
