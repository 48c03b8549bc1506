import json
from pathlib import Path

import pytest

from priorvae.pipeline import bench_simulate
from tests.cli.test_train import run


def test_times_both_sides_on_both_processes() -> None:
    timings = bench_simulate([60], seconds=0.2)
    assert [(t.process, t.areas, t.sampler) for t in timings] == [
        ("gp", 63, "interpolated-root"),
        ("car", 63, "eigenbasis"),
    ]
    for timing in timings:
        assert timing.ratio == timing.draws_per_second / timing.cholesky_per_second > 1


def test_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench.json"
    code, text = run(capsys, "bench", "simulate", "--areas", 16, "--out", out)
    assert code == 0 and "| gp | 16 | interpolated-root |" in text
    rows = json.loads(out.read_text())
    assert {row["process"] for row in rows} == {"gp", "car"}
    before = out.read_bytes()
    code, text = run(capsys, "bench", "simulate", "--areas", 16, "--out", out)
    assert code == 2 and "nothing is overwritten" in text and out.read_bytes() == before
