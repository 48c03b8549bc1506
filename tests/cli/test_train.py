"""`priorvae train` and `simulate` as a user runs them: files, exit codes, messages."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
import zarr

from priorvae.bundles import load_bundle
from priorvae.cli import main as command_line
from priorvae.evaluation.document import from_json

SMALL = {
    "name": "small",
    "seed": 3,
    "areas": {"source": "grid:3x5"},
    "process": {
        "kind": "gp",
        "kernel": "matern32",
        "lengthscale": {
            "distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent",
        },
    },
    "model": {"type": "PriorCVAE"},
    "training": {
        "steps": 20, "conditions_per_step": 4, "learning_rate": 1e-5, "warmup_steps": 5,
        "log_every": 10, "checkpoint_every": 10,
    },
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run the command in this process; return its exit code and everything it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["priorvae", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            command_line.main()
    code = exit_.value.code
    printed = capsys.readouterr()
    return (code if isinstance(code, int) else 0), printed.out + printed.err


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_trains_certifies_and_reports(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, text = run(capsys, "train", config, "--out", out)
    assert code == 0, text
    assert "certificate  passed" in text
    names = {p.name for p in out.iterdir()}
    assert names == {
        "bundle", "checkpoints", "config.yaml", "environment.json", "metrics.jsonl",
        "report.html", "status.json",
    }  # fmt: skip
    status = json.loads((out / "status.json").read_text())
    assert status["status"] == "done" and status["best_step"] in (10, 20)
    bundle = load_bundle(out / "bundle")
    assert bundle.info.certificate.status == "passed"
    evaluation = from_json((out / "bundle" / "evaluation.json").read_text())
    assert evaluation.certificate.passed
    assert "<html" in (out / "report.html").read_text()

    # Finished: resuming says so and changes nothing; running anew refuses.
    before = contents(out)
    code, _ = run(capsys, "train", config, "--out", out, "--resume")
    assert code == 0 and contents(out) == before
    code, text = run(capsys, "train", config, "--out", out)
    assert code == 2 and "nothing is overwritten" in text and contents(out) == before
    # Resuming another configuration is refused.
    code, text = run(capsys, "train", config, "--out", out, "--resume", "--set", "seed=4")
    assert code == 2 and "another configuration" in text and "seed: 4" in text
    assert contents(out) == before


def test_a_prior_that_misses_its_bounds_exits_1(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, text = run(
        capsys, "train", config, "--out", out, "--set", "certificate.covariance_error=1e-7",
        "--set", "training.rounds=1",
    )  # fmt: skip
    assert code == 1
    assert "certificate  failed: 1 of" in text
    assert "Relative error of the covariance" in text and "lengthscale =" in text
    assert load_bundle(out / "bundle").info.certificate.status == "failed"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("process.kernel=matern23", "process.kernel: expected one of rbf"),
        ("process.lengthscale.low=-0.1", "process.lengthscale: loguniform needs a positive `low`"),
        ("process.lengthscale.unit=''", "`unit` must say `km` or `extent`"),
        ("model.latent_dim=0", "model.latent_dim: must be a positive whole number or `auto`"),
        ("training.stps=3", "training.stps: unknown key (did you mean 'steps'?)"),
        ("colour=red", "colour: unknown key"),
        ("areas.source=nowhere.gpkg", "nowhere.gpkg"),
        ("areas.source=builtin:sids", "sids2"),
        ("areas.source=grid:1x2", "between 3 and"),
        ("process={kind: car, alpha: {distribution: uniform, low: 0, high: 1}}", "below 1"),
        (
            "certificate.posterior={data: none.csv, id: i, formula: y ~ 1, family: poisson}",
            "none.csv",
        ),
        ("seed", "expected `dotted.key=value`"),
    ],
)
def test_bad_configuration_writes_nothing(
    override: str, message: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(capsys, "train", config, "--out", tmp_path / "run", "--set", override)
    assert code == 2
    assert message in text and "Traceback" not in text
    assert not (tmp_path / "run").exists()


def test_all_errors_are_listed_at_once(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["model.latent_dim=0", "training.steps=-1", "seed=x"]
    flags = [flag for override in overrides for flag in ("--set", override)]
    code, text = run(capsys, "train", config, *flags)
    assert code == 2
    for key in ("model.latent_dim", "training.steps", "seed"):
        assert f"small.yaml: {key}: " in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "expected a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("name: x\nname: y\n", "'name' is given twice"),
        ("name: x\n", "areas: required"),
    ],
)
def test_malformed_files(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    code, printed = run(capsys, "train", path, "--out", tmp_path / "run")
    assert code == 2 and message in printed and str(path) in printed


def test_missing_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "train", tmp_path / "none.yaml")
    assert code == 2 and "cannot read the configuration" in text


def test_nothing_to_resume(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(capsys, "train", config, "--out", tmp_path / "run", "--resume")
    assert code == 2 and "nothing to resume" in text


def test_simulate(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "draws.npz"
    code, text = run(capsys, "simulate", config, "--draws", 1500, "--out", out)
    assert code == 0 and "sampler  interpolated-root" in text and "1500/1500" in text
    with np.load(out, allow_pickle=False) as draws:
        assert draws["draws"].shape == (1500, 15)
        assert draws["lengthscale"].shape == (1500,)
        assert len(draws["area_ids"]) == 15
        record = json.loads(str(draws["simulation"]))
        assert record["seed"] == 3 and record["relative_error_of_the_root"] < 1e-5
        fields = draws["draws"]
    assert run(capsys, "simulate", config, "--draws", 1500, "--out", tmp_path / "d.zarr")[0] == 0
    group = zarr.open_group(tmp_path / "d.zarr", mode="r")
    np.testing.assert_array_equal(group["draws"][:], fields)
    assert group.attrs["simulation"] == record


def test_simulate_refuses(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = tmp_path / "held.npz"
    held.write_bytes(b"mine")
    code, text = run(capsys, "simulate", config, "--draws", 5, "--out", held)
    assert code == 2 and "nothing is overwritten" in text and held.read_bytes() == b"mine"
    code, text = run(capsys, "simulate", config, "--draws", 5, "--out", tmp_path / "x.csv")
    assert code == 2 and ".npz or .zarr" in text
    new = tmp_path / "new.npz"
    code, text = run(
        capsys, "simulate", config, "--draws", 5, "--out", new, "--sampler", "eigenbasis"
    )
    assert code == 2 and "eigenvectors that change" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["held.npz", "small.yaml"]


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_bytes(tmp_path: Path) -> None:
    """`kill -9` at random moments of a real process, then `--resume`, three times over."""
    path = tmp_path / "long.yaml"
    training = {**SMALL["training"], "steps": 3000, "checkpoint_every": 200, "log_every": 50}  # type: ignore[dict-item]
    path.write_text(yaml.safe_dump({**SMALL, "training": training}))
    command = [sys.executable, "-m", "priorvae", "train", str(path), "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)

    rng = np.random.default_rng()
    parts = tmp_path / "parts"
    killed_at = []
    for attempt in range(3):
        resume = ["--resume"] if attempt else []
        process = subprocess.Popen(
            [*command, str(parts), *resume], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        # Killed after a random number of the lines it prints while it trains.
        for _ in range(int(rng.integers(3, 15))):
            killed_at.append(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
    subprocess.run([*command, str(parts), "--resume"], check=True, capture_output=True)
    for name in ("decoder.safetensors", "golden.npz", "areas.csv"):
        whole = (tmp_path / "whole" / "bundle" / name).read_bytes()
        assert (parts / "bundle" / name).read_bytes() == whole, killed_at
