"""The least time a compiled program could take on a device: its work over the device's peaks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = [
    "Peaks",
    "Work",
    "clock_of",
    "count_work",
    "devices_at_hand",
    "measure_peaks",
    "memory_at_hand",
    "memory_needed",
    "num_cores",
    "quickest_call",
]

_MATRIX = {"cpu": 2048}
_LARGE_MATRIX = 8192
"""Rows of the matrices whose product is timed: about a second on one core, or enough for a GPU."""

_LARGE_COPY = {"cpu": 2**28}
_LARGER_COPY = 2**30
"""Bytes of the array that no cache holds."""

_SMALLEST_COPY = 2**20
_TRAFFIC = 2**33
"""Bytes that one measurement of the bandwidth moves, about."""


class Peaks(NamedTuple):
    """What a device reached in this run."""

    flops: float
    """Float32 operations a second of a large matrix product, in float32 throughout."""
    bandwidth: float
    """Bytes read and written a second, going once through an array."""


class Work(NamedTuple):
    """What a program does; None where the compiler does not say."""

    flops: float | None
    """Floating-point operations of the program as written."""
    bytes: float | None
    """Bytes that the compiled program's kernels read and write."""

    def floor(self, peaks: Peaks) -> float | None:
        """Return the seconds that neither the arithmetic nor the traffic can undercut."""
        if self.flops is None:
            return None
        return max(self.flops / peaks.flops, (self.bytes or 0.0) / peaks.bandwidth)

    def bound(self, peaks: Peaks) -> str:
        """Say which of the two the floor comes from."""
        if self.flops is None:
            return "unknown"
        traffic = (self.bytes or 0.0) / peaks.bandwidth
        return "arithmetic" if self.flops / peaks.flops >= traffic else "traffic"


def devices_at_hand() -> list[jax.Device]:
    """Return the first CPU and, where there is one, the first GPU."""
    found = []
    for platform in ("cpu", "gpu"):
        try:
            found.append(jax.devices(platform)[0])
        except RuntimeError:  # no such platform, or not among JAX_PLATFORMS
            continue
    return found


def clock_of(device: jax.Device) -> Callable[[], float]:
    """Return the clock that a device is timed by: the wall's.

    On a CPU kept to one core it is the process's CPU seconds. On an idle machine the two are the
    same there, and other work on that core does not count.
    """
    alone = device.platform == "cpu" and num_cores() == 1
    return time.process_time if alone else time.perf_counter


def num_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def quickest_call(
    call: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of the quickest of the calls that fit into `seconds`, one at least.

    A call before them, not timed, compiles.
    """
    jax.block_until_ready(call())
    quickest, spent = float("inf"), 0.0
    while spent < seconds:
        start = clock()
        jax.block_until_ready(call())
        each = clock() - start
        quickest, spent = min(quickest, each), spent + each
    return quickest


def count_work(
    program: jax.stages.Wrapped, compiled: jax.stages.Compiled, *arguments: object
) -> Work:
    """Count a jitted function's work by XLA's analysis.

    Operations are those of the program as it is handed to the compiler for a CPU, on any device: a
    GPU's compiled program hides its matrix products in a library's kernels, whose operations XLA
    does not count. Bytes are those of the program compiled for the device, as operands and results
    of its kernels, without the library's where it does not count them. The body of a loop counts
    once.

    Args:
        program: The jitted function.
        compiled: The same, compiled for the device and these arguments.
        arguments: Arrays, or their shapes and types.
    """
    with jax.default_device(jax.devices("cpu")[0]):
        written = program.lower(*map(_shapes, arguments)).cost_analysis()
    return Work(_known(written, "flops"), _known(compiled.cost_analysis(), "bytes accessed"))


def measure_peaks(device: jax.Device, working_set: int, seconds: float = 1.0) -> Peaks:
    """Measure what a device reaches: the float32 peak and the bandwidth.

    The peak is that of a product of two large square matrices, 2 n^3 operations, in the precision
    `float32` (no tensorfloat32). The bandwidth is that of scaling an array in place, each of its
    numbers read and written once: the higher of one as large as a step's memory, which may fit into
    a cache, and one that no cache holds.

    Args:
        device: The device.
        working_set: Bytes of a step's memory.
        seconds: Seconds that each figure is measured over.
    """
    large = _LARGE_COPY.get(device.platform, _LARGER_COPY)
    sizes = {large, min(max(working_set, _SMALLEST_COPY), large)}
    with jax.default_device(device):
        return Peaks(
            _matrix_product(device, seconds),
            max(_bandwidth(device, size, seconds) for size in sizes),
        )


def memory_needed(compiled: jax.stages.Compiled) -> int:
    """Return the bytes of a compiled program's arguments, results and temporaries; 0 if unknown."""
    stats = compiled.memory_analysis()
    if stats is None:
        return 0
    return int(stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes)


def memory_at_hand(device: jax.Device) -> int | None:
    """Return the bytes of a device's memory that are free; None where nothing tells."""
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    facts = Path("/proc/meminfo")
    if device.platform != "cpu" or not facts.exists():
        return None
    lines = dict(line.split(":", 1) for line in facts.read_text("utf-8").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _matrix_product(device: jax.Device, seconds: float) -> float:
    n = _MATRIX.get(device.platform, _LARGE_MATRIX)
    matrix = jnp.ones((n, n), jnp.float32)
    with jax.default_matmul_precision("float32"):
        product = jax.jit(jnp.matmul)
        return (
            2.0 * n**3 / quickest_call(lambda: product(matrix, matrix), seconds, clock_of(device))
        )


def _bandwidth(device: jax.Device, num_bytes: int, seconds: float) -> float:
    array, rounds = jnp.ones(num_bytes // 4, jnp.float32), jnp.int32(_TRAFFIC // (2 * num_bytes))

    # In place, since new memory costs more than its first use; and for a number of rounds that the
    # compiler does not know, so that it cannot make one of several.
    @partial(jax.jit, donate_argnums=0)
    def scaled(array: jax.Array, rounds: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, rounds, lambda _, x: x * jnp.float32(1.000001), array)

    def call() -> jax.Array:
        nonlocal array
        array = scaled(array, rounds)
        return array

    each = quickest_call(call, seconds, clock_of(device))
    return 2.0 * array.nbytes * int(rounds) / each


def _shapes(argument: object) -> object:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), argument)


def _known(analysis: dict[str, float] | None, key: str) -> float | None:
    """Return a figure of an analysis; those that the compiler does not know are below 0."""
    value = (analysis or {}).get(key, -1.0)
    return value if value > 0 else None
