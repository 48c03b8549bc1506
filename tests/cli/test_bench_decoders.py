"""`priorvae bench decoders` and `bench problem` as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest

from priorvae.cli.tables import NOTE, decoder_tables
from priorvae.pipeline import DecoderRow, SeedSummary
from tests.cli.test_train import run

CONFIG = """
name: small
seed: 1
areas: {source: "grid:3x4"}
process:
  kind: gp
  kernel: matern32
  lengthscale: {distribution: loguniform, low: 0.2, high: 1.0, unit: extent}
model: {type: reference}
certificate: {num_draws: 100}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.slow
def test_prints_one_table_and_writes_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, text = run(capsys, "bench", "decoders", config, "--seconds", 0.05, "--out", out)
    assert code == 0
    assert "| small | reference | 12 | passed |" in text
    written = (out / "table.md").read_text()
    assert all(line in text for line in written.splitlines())
    found = json.loads((out / "table.json").read_text())
    (row,) = found["decoders"]
    assert row["seed"] == 1 and row["ratio"] > 0 and found["seeds"] == []


def test_writes_a_problem_for_other_packages(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "problem.npz"
    code, _ = run(capsys, "bench", "problem", config, "--areas", 16, "--out", out)
    assert code == 0
    with np.load(out) as held:
        assert held["places"].shape == (16, 2)
    code, text = run(capsys, "bench", "problem", config, "--out", out)
    assert code == 2 and "nothing is overwritten" in text
    code, text = run(capsys, "bench", "decoders", config, "--rival", out, "--out", tmp_path / "o")
    assert code == 2 and "scripts/bench_rivals.py" in text


def test_tables_show_deviations_nulls_and_ratios() -> None:
    ours = DecoderRow(
        "a", "GatedLinear", "m", 159, 1,
        figures={"covariance_error": 0.003456, "worst_sd": 0.9912, "importance_fraction": 0.951},
        certificate="passed", cpu_seconds=119.6, steps=500,
        gradient={"float32": 1.2e-5, "float64": 2e-5}, exact_gradient=4e-4,
    )  # fmt: skip
    theirs = DecoderRow(
        "other 1.0", "MLP", "m", 159, 1,
        figures={"covariance_error": 0.48, "worst_sd": 1.17},
        null={"covariance_error": 0.0063, "worst_sd": 1.012},
        cpu_seconds=100.2, steps=7, gradient={"float32": 8e-6}, exact_gradient=4e-4,
    )  # fmt: skip
    failed = DecoderRow("b", "DeepRV", "m", 159, 2, cpu_seconds=3.0, error="the loss ...")
    (table,) = decoder_tables([ours, theirs, failed], [])
    assert table.markdown() == (
        "| configuration | type | areas | certificate | covariance error | worst-area sd off by "
        "| IS fraction | training, CPU s | steps | µs/gradient | in float32 | exact µs/gradient "
        "| exact/decoder |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| a | GatedLinear | 159 | passed | 0.00346 | 0.88% | 0.951 | 120 | 500 | 20 | 12 | 400 "
        "| 20 |\n"
        "| other 1.0 | MLP | 159 |  | 0.48 (0.0063) | 17.00% (1.20%) |  | 100 | 7 |  | 8 | 400 "
        "| 50 |\n"
        "| b | DeepRV | 159 | training failed |  |  |  | 3 |  |  |  |  |  |\n"
        f"\n{NOTE}\n"
    )


def test_the_seeds_table_shows_median_and_worst() -> None:
    figures = (
        {"covariance_error": 0.01, "worst_sd": 1.01},
        {"covariance_error": 0.2, "worst_sd": 0.9},
    )
    summary = SeedSummary("a", "DeepRV", 159, 20, 1, 2, *figures)
    _, table = decoder_tables([], [summary])
    assert table.rows == (("a", "DeepRV", "159", "20", "1", "2", "0.01 / 0.2", "1.00% / 10.00%"),)
