"""Decoders of other packages, known by draws: judged as draws whose covariance is known are."""

import os
import subprocess
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.config import RunConfig, parse_config
from priorvae.errors import InputError, ProcessError
from priorvae.pipeline import bench_decoders, read_rival, write_problem
from priorvae.processes import GP, build_process

NUM_DRAWS = 20_000
RIVALS = Path(__file__).parents[2] / ".venv-rivals" / "bin" / "python"


def configured(**process: Any) -> RunConfig:
    lengthscale = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
    section = {"kind": "gp", "kernel": "matern32", "lengthscale": lengthscale, **process}
    raw = {"name": "small", "seed": 1, "areas": {"source": "grid:4x5"}, "process": section}
    # Few draws for the two-sample tests, whose permutations take the time; all for the moments.
    more = {"model": {"type": "reference"}, "certificate": {"num_draws": 100}}
    return parse_config({**raw, **more}, "test")


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "problem.npz"
    write_problem(configured(), path)
    return path


def write_draws(problem: Path, path: Path, factor: float = 1.0, **changes: Any) -> Path:
    """Write draws of the process itself, times a factor, as a rival would."""
    config = configured()
    process = build_process(config.process, read_areas(**config.areas.model_dump()))
    assert isinstance(process, GP)
    rng = np.random.default_rng(3)
    with np.load(problem) as held:
        roots = [process.root({"lengthscale": v}) for v in held["lengthscales"]]
        text = str(held["config"])
    fields = [factor * rng.standard_normal((NUM_DRAWS, 20)) @ root.T for root in roots]
    record = {
        "draws": np.stack(fields).astype(np.float32), "package": "other 1.0", "type": "MLP",
        "steps": 7, "cpu_seconds": 2.5, "gradient_seconds": 1e-5, "seed": 4, "problem": text,
    }  # fmt: skip
    np.savez(path, **{k: v for k, v in {**record, **changes}.items() if v is not None})
    return path


def test_a_problem_holds_places_and_lengthscales_in_km(problem: Path) -> None:
    with np.load(problem) as held:
        found = {name: held[name] for name in held.files}
    assert found["places"].shape == (20, 2) and float(found["extent"]) == 5
    assert found["lengthscales"][[0, -1]] == pytest.approx([0.5, 5.0])
    # Log-uniform: seven in equal ratios.
    assert np.diff(np.log(found["lengthscales"])) == pytest.approx(np.log(10) / 6)
    assert str(found["kernel"]) == "matern32" and found["area_ids"][0] == "r1c1"


def test_a_problem_is_refused_where_rivals_cannot_learn_it(tmp_path: Path, problem: Path) -> None:
    uniform = {"distribution": "uniform", "low": 0.1, "high": 1.0, "unit": "extent"}
    with pytest.raises(ProcessError, match="log-uniform lengthscale, and this one is uniform"):
        write_problem(configured(lengthscale=uniform), tmp_path / "a.npz")
    alpha = {"distribution": "uniform", "low": 0.0, "high": 0.9}
    car = configured().model_dump(mode="json") | {"process": {"kind": "car", "alpha": alpha}}
    with pytest.raises(ProcessError, match="this car has alpha"):
        write_problem(parse_config(car, "test"), tmp_path / "b.npz")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_problem(configured(), problem)


@pytest.mark.slow
def test_exact_draws_are_judged_perfect(problem: Path, tmp_path: Path) -> None:
    rival = read_rival(write_draws(problem, tmp_path / "draws.npz"))
    (row,) = bench_decoders([], out=tmp_path, rivals=[rival], seconds=0.05)
    assert (row.name, row.type, row.areas, row.seed, row.steps) == ("other 1.0", "MLP", 20, 4, 7)
    assert row.cpu_seconds == 2.5 and row.gradient == {"float32": 1e-5}
    assert row.exact_gradient is not None and row.ratio == row.exact_gradient / 1e-5
    # A sample sd of N draws is off by 1 / sqrt(2 N); 4.5 standard errors over 7 x 20 of them.
    assert abs(row.figures["worst_sd"] - 1) < 4.5 / np.sqrt(2 * NUM_DRAWS)
    # Unbiased, so near zero: its square has a standard error below tr(K)^2 / |K|^2 / (N / 2).
    assert row.figures["covariance_error"] < np.sqrt(4 * 20 / (NUM_DRAWS / 2))
    assert row.figures["mmd_pvalue"] > 0.01
    assert "importance_fraction" not in row.figures


@pytest.mark.slow
def test_shrunken_draws_are_off_by_what_they_shrink(problem: Path, tmp_path: Path) -> None:
    rival = read_rival(write_draws(problem, tmp_path / "draws.npz", factor=0.9))
    (row,) = bench_decoders([], out=tmp_path, rivals=[rival], seconds=0.05)
    # C = .81 K: an error of .19, and sqrt(2 / N) .81 is the largest standard error of <K, S>/|K|^2.
    assert row.figures["covariance_error"] == pytest.approx(
        0.19, abs=4 * 0.81 * np.sqrt(2 / NUM_DRAWS)
    )
    assert row.figures["worst_sd"] == pytest.approx(0.9, abs=4.5 * 0.9 / np.sqrt(2 * NUM_DRAWS))
    # W2 is about (1 - c)^2 for sds c times the right ones, and c is off by 1 / sqrt(2 N) at most.
    distance = row.figures["bures_wasserstein"]
    assert distance == pytest.approx(0.01, abs=4 * 2 * 0.1 * 0.9 / np.sqrt(2 * NUM_DRAWS))


def test_draws_of_a_key_are_without_repeats_and_the_same_again(
    problem: Path, tmp_path: Path
) -> None:
    rival = read_rival(write_draws(problem, tmp_path / "draws.npz"))
    hyper = {"lengthscale": float(rival.conditions[0].grid(7)[2])}
    first, again, other = (
        np.asarray(rival.sample(jax.random.key(i), hyper, 500)) for i in (1, 1, 2)
    )
    assert (first == again).all() and not (first == other).all()
    assert len(np.unique(first[:, 0])) == 500
    rows = {row.tobytes() for row in rival.draws[2]}
    assert all(row.astype(np.float32).tobytes() in rows for row in first)
    with pytest.raises(ProcessError, match=r"at lengthscales 0\.5, "):
        rival.sample(jax.random.key(1), {"lengthscale": 0.6}, 5)
    with pytest.raises(ProcessError, match=f"{NUM_DRAWS + 1} at"):
        rival.sample(jax.random.key(1), hyper, NUM_DRAWS + 1)


def test_draws_that_are_not_finite_are_a_failed_training(problem: Path, tmp_path: Path) -> None:
    draws = np.full((7, 10, 20), np.nan, dtype=np.float32)
    rival = read_rival(write_draws(problem, tmp_path / "draws.npz", draws=draws))
    (row,) = bench_decoders([], out=tmp_path, rivals=[rival], seconds=0.05)
    assert row.error == "its draws are not finite" and row.figures == {}


def test_files_that_are_no_rivals_draws_are_refused(problem: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read as a rival's draws"):
        read_rival(tmp_path / "none.npz")
    lacking = write_draws(problem, tmp_path / "lacking.npz", steps=None)
    with pytest.raises(InputError, match="lacks 'steps'"):
        read_rival(lacking)
    small = write_draws(problem, tmp_path / "small.npz", draws=np.zeros((7, 5, 19)))
    with pytest.raises(InputError, match=r"7 lengthscales on 20 areas, got an array of shape"):
        read_rival(small)


@pytest.mark.slow
@pytest.mark.skipif(not RIVALS.exists(), reason="needs .venv-rivals (make bench-decoders)")
def test_the_rivals_script_trains_and_draws(
    problem: Path, tmp_path: Path, repository: Path
) -> None:
    out = tmp_path / "mlp.npz"
    command = [RIVALS, repository / "scripts" / "bench_rivals.py", problem, "--out", out]
    own = {"JAX_ENABLE_X64": "0", "JAX_NUM_CPU_DEVICES": "1"}
    subprocess.run(
        [*map(str, command), "--recipe", "MLPDeepRV", "--seconds", "3", "--draws", "2000"],
        check=True,
        env=os.environ | own,
    )
    rival = read_rival(out)
    assert rival.finite and rival.num_draws == 2000 and rival.steps > 100
    assert 1 < rival.cpu_seconds < 10
    (row,) = bench_decoders([], out=tmp_path, rivals=[rival], seconds=0.05)
    # Trained for three seconds: far from the process, and nearer to it than to nothing.
    assert 0.05 < row.figures["covariance_error"] < 1
