"""Training throughput and its floor: work by hand, peaks of this machine, and the script."""

import os
import runpy
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.config import RunConfig, load_config
from priorvae.errors import RunError
from priorvae.pipeline.floor import (
    Peaks,
    Work,
    clock_of,
    count_work,
    devices_at_hand,
    quickest_call,
)
from priorvae.pipeline.throughput import TrainingTiming, seconds_to_certificate, time_training

CONFIG = """
name: small
seed: 1
areas: {source: "grid:8x8"}
process: {kind: car, alpha: {distribution: uniform, low: 0.0, high: 0.9}}
model: {type: GatedLinear, warm_start_sweeps: 5}
training: {steps: 10, warmup_steps: 2, conditions_per_step: 8, log_every: 1}
"""
REFERENCE = """
name: reference
seed: 1
areas: {{source: "grid:4x5"}}
process: {{kind: car, alpha: {{distribution: uniform, low: 0.0, high: 0.9}}}}
model: {{type: reference}}
certificate: {{covariance_error: {threshold}, num_draws: 100, num_conditions: 7}}
"""
CPU = jax.devices("cpu")[0]


def small(directory: Path, **training: int) -> RunConfig:
    path = directory / "small.yaml"
    path.write_text(CONFIG)
    config = load_config(path)
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def work_of_product(device: jax.Device, m: int, k: int, n: int) -> Work:
    left, right = (jax.device_put(np.ones(shape, np.float32), device) for shape in ((m, k), (k, n)))
    product = jax.jit(jnp.matmul)
    return count_work(product, product.lower(left, right).compile(), left, right)


@pytest.mark.parametrize("sizes", [(256, 256, 256), (64, 300, 150)])
def test_work_of_a_matrix_product_is_known(sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    assert work_of_product(CPU, m, k, n) == Work(2.0 * m * k * n, 4.0 * (m * k + k * n + m * n))


@pytest.mark.gpu
def test_a_gpus_operations_are_counted_though_a_library_multiplies() -> None:
    assert work_of_product(jax.devices("gpu")[0], 512, 512, 512).flops == 2.0 * 512**3


def test_the_floor_is_the_larger_of_arithmetic_and_traffic() -> None:
    peaks = Peaks(flops=10.0, bandwidth=2.0)
    assert Work(100.0, 6.0).floor(peaks) == 10 and Work(100.0, 6.0).bound(peaks) == "arithmetic"
    assert Work(100.0, 60.0).floor(peaks) == 30 and Work(100.0, 60.0).bound(peaks) == "traffic"
    assert Work(100.0, None).floor(peaks) == 10
    assert Work(None, 60.0).floor(peaks) is None and Work(None, 60.0).bound(peaks) == "unknown"


def test_the_quickest_call_is_taken_and_the_first_one_is_not_timed() -> None:
    ticks, calls = iter([0.0, 3.0, 3.0, 4.0, 4.0, 6.0]), []
    assert quickest_call(lambda: calls.append(1), 5.0, lambda: next(ticks)) == 1
    assert len(calls) == 1 + 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_one_core_is_timed_in_cpu_seconds() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert clock_of(CPU) is time.process_time
    finally:
        os.sched_setaffinity(0, before)
    assert clock_of(CPU) is (time.perf_counter if len(before) > 1 else time.process_time)


@pytest.fixture(scope="module")
def timing(tmp_path_factory: pytest.TempPathFactory) -> TrainingTiming:
    return time_training(small(tmp_path_factory.mktemp("small")), CPU, seconds=0.2)


@pytest.mark.slow
def test_a_step_takes_no_less_than_its_floor(timing: TrainingTiming) -> None:
    assert (timing.areas, timing.batch_size) == (64, 8 * 64)
    assert timing.draws_per_second == timing.batch_size / timing.seconds > 0
    assert timing.floor is not None and timing.share is not None
    # A fifth more: peak and step are timed one after the other, beside other work.
    assert 0 < timing.floor <= 1.2 * timing.seconds
    # Decoding multiplies every draw by one matrix at the least, and its gradient by another.
    assert timing.work.flops is not None and timing.work.flops > 2 * 8 * 2 * 64**3
    assert timing.peaks.flops > 1e8 and timing.peaks.bandwidth > 1e8


@pytest.mark.slow
def test_work_grows_with_the_batch(timing: TrainingTiming, tmp_path: Path) -> None:
    more = time_training(small(tmp_path, conditions_per_step=16), CPU, seconds=0.05)
    few, many = timing.work.flops, more.work.flops
    # Twice the draws; a few per cent are the optimiser's, which the batch does not change.
    assert few is not None and many is not None and many / few == pytest.approx(2, abs=0.15)


def test_a_step_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    # 10^8 conditions of 64 x 64 numbers: more than a thousand GiB.
    with pytest.raises(RunError, match=r"small: a step needs .* GiB on cpu, where"):
        time_training(small(tmp_path, conditions_per_step=10**8), CPU)


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "passed"), [(0.05, True), (1e-30, False)])
def test_a_run_is_timed_until_it_is_judged(tmp_path: Path, threshold: float, passed: bool) -> None:
    path = tmp_path / "reference.yaml"
    path.write_text(REFERENCE.format(threshold=threshold))
    before = time.perf_counter()
    found = seconds_to_certificate(load_config(path), CPU, tmp_path / "run")
    assert (tmp_path / "run" / "bundle" / "evaluation.json").exists()
    assert found.passed is passed and found.rounds == 0  # nothing to train
    assert 0 < found.seconds <= time.perf_counter() - before


@pytest.fixture(scope="module")
def script(repository: Path) -> dict[str, Any]:
    return runpy.run_path(str(repository / "scripts" / "bench_training.py"))


@pytest.mark.slow
def test_the_scripts_figures_are_those_measured(
    timing: TrainingTiming, script: dict[str, Any]
) -> None:
    cells = dict(zip(script["HEADINGS"][3:-1], script["figures"](timing), strict=True))
    rate, step = float(cells["draws/s"]), float(cells["ms a step"])
    # Four digits are printed, so that each is right to one in two thousand.
    assert rate * step / 1e3 == pytest.approx(timing.batch_size, rel=1e-3)
    by_hand = max(
        float(cells["GFLOP a step"]) / float(cells["device's GFLOP/s"]),
        float(cells["MB a step"]) / float(cells["device's GB/s"]) / 1e3,
    )
    assert float(cells["floor, ms a step"]) == pytest.approx(1e3 * by_hand, rel=2e-3)
    unknown = script["figures"](timing._replace(work=Work(None, None)))
    assert unknown.count("unknown") == 5  # two counts, the floor, what sets it, its share


@pytest.mark.slow
def test_the_script_prints_a_row_for_each_map_and_device(
    tmp_path: Path, script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG.replace("log_every: 1", "log_every: 5, checkpoint_every: 10"))
    script["main"](tmp_path / "out", [path], areas=[20], seconds=0.05, certify=True, largest=30)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert len(rows) == 2 * len(devices_at_hand()) and {len(r) for r in rows} == {len(head)}
    assert {(r[0], r[1]) for r in rows} == {("small", "64"), ("small-triangulated20", "20")}
    assert all(float(r[head.index("draws/s")]) > 0 for r in rows)
    # Only the smaller map is trained on.
    assert [bool(r[head.index("s to certificate")]) for r in rows] == [r[1] == "20" for r in rows]
