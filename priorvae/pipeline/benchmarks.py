"""Benchmarks: this package and its strongest rivals, measured side by side in one run."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
from threadpoolctl import threadpool_limits

from priorvae.areas import read_areas
from priorvae.config import CARConfig, GPConfig, HyperConfig, ProcessConfig
from priorvae.listener import Listener, Silent
from priorvae.processes import Process, build_process
from priorvae.processes.samplers import Sampler, build_sampler
from priorvae.processes.simulate import block_size, draw_block

__all__ = ["SimulationTiming", "bench_simulate"]

_PROCESSES: dict[str, ProcessConfig] = {
    "gp": GPConfig(
        kind="gp",
        kernel="matern32",
        lengthscale=HyperConfig(distribution="loguniform", low=0.05, high=1.0, unit="extent"),
    ),
    "car": CARConfig(kind="car", alpha=HyperConfig(distribution="uniform", low=0.0, high=0.99)),
}


class SimulationTiming(NamedTuple):
    """Draws of one process on one map, by its own sampler and by a Cholesky for each draw."""

    process: str
    areas: int
    sampler: str
    setup_seconds: float
    """CPU seconds before the first draw."""
    draws_per_second: float
    """Draws per CPU second, each with fresh hyperparameters."""
    cholesky_per_second: float
    """The same with a fresh covariance and Cholesky factorisation for each draw."""

    @property
    def ratio(self) -> float:
        """How many times quicker."""
        return self.draws_per_second / self.cholesky_per_second


def bench_simulate(
    sizes: Sequence[int], *, seconds: float = 3.0, listener: Listener | None = None
) -> list[SimulationTiming]:
    """Time the simulators on square grids of about the given numbers of areas.

    Seconds are of one CPU, and matrix products run on one thread, so that none is spent on
    waiting for others. Setting up (eigendecompositions at the nodes of the
    interpolation) is apart: it is done once for a map.

    Args:
        sizes: Numbers of areas.
        seconds: Least CPU seconds that each figure is measured over.
        listener: Told about the stages.
    """
    listener = listener or Silent()
    timings = []
    with threadpool_limits(1, user_api="blas"):
        for size in sizes:
            side = math.isqrt(size)
            areas = read_areas(f"grid:{side}x{math.ceil(size / side)}")
            for kind, config in _PROCESSES.items():
                listener.stage(f"{kind}, {len(areas)} areas")
                timings.append(_time(kind, build_process(config, areas), seconds))
    return timings


def _time(kind: str, process: Process, seconds: float) -> SimulationTiming:
    start = time.process_time()
    own = build_sampler(process)
    _draw(process, own, 0, 1)
    setup = time.process_time() - start
    rate = _rate(process, own, block_size(process), seconds)
    rival = _rate(process, build_sampler(process, "cholesky"), 4, seconds)
    return SimulationTiming(kind, len(process.areas), own.name, setup, rate, rival)


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
