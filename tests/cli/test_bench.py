import json
from pathlib import Path

import pytest

from priorvae.pipeline import SimulationTiming, bench_simulate, cost_exponents
from tests.cli.test_train import run

CONFIG = """
name: small
seed: 1
areas: {source: "grid:4x5"}
process:
  kind: gp
  kernel: matern32
  lengthscale: {distribution: loguniform, low: 0.2, high: 1.0, unit: extent}
model: {type: PriorCVAE, warm_start_sweeps: 5}
"""


@pytest.mark.slow
def test_times_both_sides_on_every_process() -> None:
    timings = bench_simulate([60], seconds=0.2)
    assert [(t.process, t.areas, t.sampler) for t in timings] == [
        ("gp", 60, "interpolated-root"),
        ("gp on a grid", 63, "interpolated-root"),
        ("car", 60, "eigenbasis"),
        ("leroux", 60, "eigenbasis"),
        ("bym2", 60, "eigenbasis"),
    ]
    for timing in timings:
        assert timing.rival == "cholesky" and timing.rival_per_second is not None
        assert timing.ratio == timing.draws_per_second / timing.rival_per_second > 1


@pytest.mark.slow
def test_large_graphs_have_a_sparse_rival() -> None:
    (timing,) = bench_simulate([2600], processes=["car"], seconds=0.2)
    assert (timing.sampler, timing.rival) == ("polynomial", "sparse-cholesky")


def test_exponents_are_fitted_on_large_maps() -> None:
    def timed(areas: int) -> SimulationTiming:
        rates = {"draws_per_second": 1e9 / areas**2, "rival_per_second": 1e9 / areas**3}
        return SimulationTiming(
            "car", areas, "mine", 0.0, 0.0, rival="theirs", peak_gib=0.0, **rates
        )

    found = cost_exponents([timed(100), timed(500), timed(2000), timed(8000)])
    assert found == {"car by mine": pytest.approx(2), "car by theirs": pytest.approx(3)}
    assert cost_exponents([timed(100), timed(500)]) == {}


@pytest.mark.slow
def test_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, config = tmp_path / "bench.json", tmp_path / "config.yaml"
    config.write_text(CONFIG)
    arguments = [
        "bench",
        "simulate",
        "--areas",
        16,
        "--process",
        "gp",
        "--process",
        "car",
        "--seconds",
        0.1,
    ]
    code, text = run(capsys, *arguments, "--training", config, "--out", out)
    assert code == 0 and "| gp | 16 | interpolated-root |" in text
    assert "simulation takes" in text
    found = json.loads(out.read_text())
    assert {row["process"] for row in found["timings"]} == {"gp", "car"}
    assert 0 < found["training"]["simulate_seconds"] < found["training"]["step_seconds"]
    before = out.read_bytes()
    code, text = run(capsys, *arguments, "--out", out)
    assert code == 2 and "nothing is overwritten" in text and out.read_bytes() == before


def test_an_unknown_process_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "bench", "simulate", "--process", "cars")
    assert code == 2 and "expected one of gp, gp on a grid, car, leroux, bym2" in text
