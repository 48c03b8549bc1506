"""The command and its twin: from a bundle on disk and a file of data to a directory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.cli.infer import infer as command
from priorvae.errors import InputError
from priorvae.inference import infer, load_data, parameter_table

FORMULA = "deaths ~ x + offset(log(births))"


@pytest.fixture
def csv(table: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    table.sample(frac=1, random_state=1).to_csv(path)
    return path


def test_the_order_of_the_rows_does_not_change_the_model(
    bundle: Bundle, table: pd.DataFrame, csv: Path, tmp_path: Path
) -> None:
    table.to_csv(tmp_path / "ordered.csv")
    first, second = (
        load_data(bundle.area_ids, path, formula=FORMULA, family="poisson", id="area")
        for path in (csv, tmp_path / "ordered.csv")
    )
    assert first.area_ids == second.area_ids == bundle.area_ids
    for name in ("y", "offset", "design"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.y, table["deaths"])


def run(
    bundle: Path, data: Path, out: Path, *flags: str, **options: str
) -> tuple[int, str, Exception | None]:
    app = typer.Typer()
    app.command()(command)
    given = {"id": "area", "formula": FORMULA, "family": "poisson", **options}
    arguments = [str(bundle), "--data", str(data), "--out", str(out)]
    arguments += [part for name, value in given.items() for part in (f"--{name}", value)]
    arguments += ["--chains", "2", "--warmup", "60", "--samples", "20", *flags]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output, result.exception


def test_the_command_writes_and_prints_the_fit(
    bundle_path: Path, csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fit"
    code, output, _ = run(bundle_path, csv, out, "--correct", seed="5")
    assert code == 0, output
    for words in (
        "Corrected to the exact posterior",
        "Intercept",
        "b_x",
        "f_lengthscale",
        "rhat",
        "R-hat at most",
        "risk: lowest in",
    ):
        assert words in output
    # Nobody has judged this bundle, and the command says so; it is a warning and not an error.
    assert "warning: " in output and "not certified: nobody has compared it" in output
    # Twenty draws are too few, and the command says so.
    assert "run longer" in output
    record = json.loads((out / "fit.json").read_text())
    assert record["seed"] == 5
    assert record["correction"]["applied"] is True
    # The reference decoder of a small map leaves next to nothing to correct.
    assert record["correction"]["effective_fraction"] > 0.99
    assert (out / "decoder.nc").exists()
    assert record["bundle"] == load_bundle(bundle_path).info.id
    assert record["certificate"] == "not evaluated"
    # A grid's squares are known by its name: the map needs no file.
    assert (out / "map.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formula": "deaths ~ xx"}, "no column 'xx' (did you mean 'x'?)"),
        ({"formula": "births ~ x", "id": "are"}, "did you mean 'area'"),
        ({"formula": "w ~ x"}, "w: counts"),
        ({"areas": "builtin:sids2"}, "the map lacks 20 of the prior's areas"),
    ],
)
def test_bad_input_writes_nothing(
    bundle_path: Path, csv: Path, tmp_path: Path, options: dict[str, str], words: str
) -> None:
    code, _, error = run(bundle_path, csv, tmp_path / "fit", **options)
    assert code != 0
    assert isinstance(error, InputError)
    assert words in str(error)
    assert not (tmp_path / "fit").exists()


def test_a_directory_in_use_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(InputError, match="nothing was overwritten"):
        infer(
            bundle="no-such-bundle", data="none.csv", formula="y ~ 1", family="poisson",
            out=tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("exact", "changes", "words"),
    [
        (True, {}, "nothing to correct"),
        (False, {"conditions": ()}, "integrates lengthscale out"),
    ],
)
def test_what_cannot_be_corrected_is_refused_before_sampling(
    bundle: Bundle, csv: Path, tmp_path: Path, exact: bool, changes: dict[str, object], words: str
) -> None:
    other = replace(bundle, info=bundle.info.model_copy(update=changes))
    with pytest.raises(InputError, match=words):
        infer(
            bundle=other, data=csv, id="area", formula=FORMULA, family="poisson",
            out=tmp_path / "fit", exact=exact, correct=True,
        )  # fmt: skip
    assert not (tmp_path / "fit").exists()


def test_a_missing_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        infer(
            bundle=tmp_path / "none", data="builtin:sids2", formula="SID79 ~ 1", family="poisson",
            out=tmp_path / "fit",
        )  # fmt: skip


@pytest.mark.slow
def test_exact_inference_from_the_command(bundle_path: Path, csv: Path, tmp_path: Path) -> None:
    options = {"bundle": bundle_path, "data": csv, "id": "area", "formula": FORMULA}
    short = {"num_chains": 2, "num_warmup": 300, "num_samples": 300}
    exact = infer(**options, **short, family="poisson", out=tmp_path / "exact", exact=True)
    decoded = infer(**options, **short, family="poisson", out=tmp_path / "decoded")
    assert json.loads((tmp_path / "exact" / "fit.json").read_text())["exact"] is True
    ess = min(exact.diagnostics.min_ess_bulk, decoded.diagnostics.min_ess_bulk)
    a, b = (run.draws("risk").reshape(-1, 20) for run in (exact, decoded))
    assert np.abs((a.mean(0) - b.mean(0)) / (b.std(0) * np.sqrt(2 / ess))).max() < 4


@pytest.mark.slow
def test_a_poor_decoder_is_corrected_to_the_exact_posterior(
    bundle: Bundle, csv: Path, tmp_path: Path
) -> None:
    """A decoder 15 % too narrow: its posterior is off, and weights bring it back."""
    weights = {k: v * (0.85 if "kernel" in k else 1) for k, v in bundle.weights.items()}
    options = {"data": csv, "id": "area", "formula": FORMULA, "family": "poisson"}
    poor = infer(
        bundle=replace(bundle, weights=weights), out=tmp_path / "a", correct=True, **options
    )
    exact = infer(bundle=bundle, out=tmp_path / "b", exact=True, **options)
    assert poor.correction is not None
    assert poor.correction.applied
    ours, theirs = (np.log(run.draws("f_scale")).ravel() for run in (poor, exact))
    sampled = np.log(np.asarray(poor.correction.sampled["posterior"]["f_scale"])).ravel()
    ess = min(parameter_table(run)["ess_bulk"]["f_scale"] for run in (poor, exact))
    error = theirs.std() * np.sqrt(2 / ess)
    # f = s D(z) is 15 % narrower at the same s, so that s is larger by about as much.
    assert sampled.mean() - theirs.mean() > 3 * error
    assert abs(ours.mean() - theirs.mean()) < 3 * error
    found = poor.correction.parameters["f_scale"]
    difference = (sampled.mean() - theirs.mean()) / theirs.std()
    assert abs(found.value - difference) < 4 * np.hypot(found.error, np.sqrt(2 / ess))


@pytest.mark.slow
def test_a_decoder_beyond_correction_exits_with_1_and_writes_its_own_draws(
    bundle: Bundle, csv: Path, tmp_path: Path
) -> None:
    weights = {k: v * (0.4 if "kernel" in k else 1) for k, v in bundle.weights.items()}
    path = write_bundle(replace(bundle, weights=weights), tmp_path / "bundle")
    code, output, _ = run(path, csv, tmp_path / "fit", "--correct")
    assert code == 1
    assert "Not corrected: Pareto k-hat" in " ".join(output.split())
    assert json.loads((tmp_path / "fit" / "fit.json").read_text())["correction"]["applied"] is False
    assert not (tmp_path / "fit" / "decoder.nc").exists()
