"""A choice among kernels as a user meets it: trained, simulated, fitted, refused."""

import json
import sys
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import yaml
import zarr

from priorvae.areas import read_areas
from priorvae.bundles import load_bundle, write_bundle
from priorvae.cli import main as command_line
from priorvae.config import GPConfig
from priorvae.processes import build_process
from tests.samples import reference_bundle

PROCESS: dict[str, Any] = {
    "kind": "gp",
    "kernel": "categorical",
    "among": ["matern12", "rbf"],
    "lengthscale": {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"},
}
RUN = {
    "name": "two-kernels",
    "seed": 3,
    "areas": {"source": "grid:4x5"},
    "process": PROCESS,
    "model": {"type": "PriorCVAE", "warm_start_sweeps": 300},
    "training": {
        "steps": 10, "conditions_per_step": 4, "learning_rate": 1e-5, "warmup_steps": 5,
        "log_every": 10, "checkpoint_every": 10,
    },
    "certificate": {"num_draws": 100},
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "two-kernels.yaml"
    path.write_text(yaml.safe_dump(RUN))
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference decoder, in a directory."""
    gp = GPConfig.model_validate(PROCESS)
    process = build_process(gp, read_areas("grid:4x5"))
    made = reference_bundle(process, gp)
    return write_bundle(made, tmp_path_factory.mktemp("bundles") / "two-kernels")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    lines = [f"{area},{rng.poisson(20)}" for area in read_areas("grid:4x5").ids]
    path = tmp_path / "counts.csv"
    path.write_text("\n".join(["area,cases", *lines]) + "\n")
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


@pytest.mark.slow
def test_one_trained_decoder_is_certified_for_both_kernels(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, text = run(capsys, "train", config, "--out", out)
    assert code == 0 and "certificate  passed" in text
    bundle = load_bundle(out / "bundle")
    _, kernel = bundle.conditions
    assert kernel.labels == ("matern12", "rbf")
    evaluation = json.loads((out / "bundle" / "evaluation.json").read_text())
    judged = [point["hyper"]["kernel"] for point in evaluation["prior"]["points"]]
    assert judged == 7 * [0.0] + 7 * [1.0]
    worst = {figure["name"]: figure["hyper"] for figure in evaluation["certificate"]["figures"]}
    assert worst["covariance_error"]["kernel"] in kernel.labels
    for page in (out / "bundle" / "README.md", out / "report.html"):
        assert "kernel ~ categorical, one of matern12, rbf" in page.read_text()
    card = (out / "bundle" / "README.md").read_text()
    assert '"kernel": "matern12"' in card and r"matern12\|rbf" in card


def test_simulated_categories_are_written_as_labels(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("draws.npz", "draws.zarr"):
        assert run(capsys, "simulate", config, "--draws", 1100, "--out", tmp_path / name)[0] == 0
    with np.load(tmp_path / "draws.npz", allow_pickle=False) as draws:
        kernels, fields = draws["kernel"], draws["draws"]
        neighbours = fields[:, :-1] - fields[:, 1:]
    assert set(kernels) == {"matern12", "rbf"}
    # 1,100 fair coins; five standard deviations.
    assert abs((kernels == "rbf").sum() - 550) < 5 * np.sqrt(1100 / 4)
    # An rbf is smooth: its steps between neighbours are the smaller ones.
    rough, smooth = (neighbours[kernels == name].std() for name in ("matern12", "rbf"))
    assert smooth < 0.85 * rough
    group = zarr.open_group(tmp_path / "draws.zarr", mode="r")
    np.testing.assert_array_equal(group["kernel"][:], kernels)


def arguments(bundle: Path, table: Path, out: Path) -> list[object]:
    return [
        "infer", bundle, "--data", table, "--id", "area", "--formula", "cases ~ 1", "--family",
        "poisson", "--out", out, "--chains", 1, "--warmup", 5, "--samples", 5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "f_kernel: NUTS samples continuous parameters, and this is a category; fix it to one "
             "of matern12, rbf, by --condition kernel=matern12"),
        (["kernel=rbff"], "expected one of matern12, rbf, got 'rbff' (did you mean 'rbf'?)"),
        (["kernel=2"], "2 is none of the categories matern12 (0), rbf (1)"),
        (["kernel=rbf", "lengthscales=3"], "did you mean 'lengthscale'"),
        (["kernel=rbf", "lengthscale=99"], "99 is outside the trained range [1, 5] km"),
        (["kernel=rbf", "lengthscale=long"], "lengthscale: expected a number, got 'long'"),
        (["kernel"], "--condition kernel: expected NAME=VALUE"),
        (["kernel=rbf", "kernel=rbf"], "kernel is given twice"),
    ],
)  # fmt: skip
def test_conditions_that_cannot_be_fixed_are_refused(
    given: list[str], message: str, bundle: Path, table: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    flags = [flag for text in given for flag in ("--condition", text)]
    out = tmp_path / "fit"
    code, text = run(capsys, *arguments(bundle, table, out), *flags)
    assert code == 2 and message in text and "Traceback" not in text
    assert not out.exists()


@pytest.mark.slow
def test_a_fit_at_a_fixed_kernel(
    bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is fixed is recorded, and no parameter any more."""
    out = tmp_path / "fit"
    flags = ["--condition", "kernel=rbf", "--condition", "lengthscale=2.5"]
    code, text = run(capsys, *arguments(bundle, table, out), *flags)
    assert code == 0, text
    record = json.loads((out / "fit.json").read_text())
    assert record["conditions"] == {"kernel": "rbf", "lengthscale": 2.5}
    assert list(pd.read_csv(out / "parameters.csv")["parameter"]) == ["Intercept", "f_scale"]
    posterior = az.from_netcdf(out / "posterior.nc")["posterior"]
    assert (posterior["f_kernel"] == 1).all() and (posterior["f_lengthscale"] == 2.5).all()
    # f = s D(z, theta), with the rbf's matrix.
    matrix = load_bundle(bundle).matrix({"kernel": "rbf", "lengthscale": 2.5})
    z, scale = (np.asarray(posterior[name])[0, -1] for name in ("f_z", "f_scale"))
    np.testing.assert_allclose(posterior["f"][0, -1], scale * matrix @ z, atol=1e-9)


def test_posteriors_of_a_category_are_not_compared(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posterior = "certificate.posterior={data: none.csv, formula: y ~ 1, family: poisson}"
    out = tmp_path / "run"
    code, text = run(capsys, "train", config, "--out", out, "--set", posterior)
    assert code == 2 and "kernel is a category (one of matern12, rbf)" in text
    assert "leave `posterior` out" in text and not out.exists()
