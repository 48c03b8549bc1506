"""A binomial model in brms, as asked for in its issue 1482: deaths of infants, and HIV in Zimbabwe.

The counties and the released bundle are at hand everywhere. The survey of Zimbabwe's districts, the
issue's own, may not be copied into the project: where there is a folder of shared data beside the
checkout it must hold them, and where there is none the counties alone stand for the same checks.
"""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import arviz
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import priorvae
from priorvae.bundles import Bundle
from priorvae.config import parse_config
from priorvae.export import export_bundle
from priorvae.inference.data import read_table
from priorvae.pipeline import train_run
from tests.brms import install, run

pytestmark = [pytest.mark.slow, pytest.mark.r]

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/data, not in a clone")
RELIABLE = 1 - 1 / np.log10(1000)
"""Pareto k up to which the smoothed weights of 1,000 draws are (Vehtari et al. 2024)."""


class Survey(NamedTuple):
    """A certified bundle, and counts (`y` of `n`) at its areas (`area_id`) in another order."""

    bundle: Bundle
    table: pd.DataFrame


@pytest.fixture(scope="module", params=["carolina", pytest.param("zimbabwe", marks=NEEDS_SHARED)])
def survey(
    request: pytest.FixtureRequest, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Survey:
    if request.param == "carolina":
        return carolina(repository)
    path = SHARED / "zimbabwe" / "zwe2016phia.geojson"
    return zimbabwe(path, tmp_path_factory.mktemp("zimbabwe") / "run")


def carolina(repository: Path) -> Survey:
    bundle = priorvae.load(repository / "artifacts" / "nc-sids-matern32-priorcvae")
    read, column = read_table("builtin:sids2")
    return Survey(bundle, _shuffled(read[column], read["SID74"], read["BIR74"]))


def zimbabwe(path: Path, out: Path) -> Survey:
    """People with HIV among those tested; of the bundle, steps after the start are a formality."""
    extent = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
    raw: dict[str, Any] = {
        "name": "zimbabwe-matern32-priorcvae", "seed": 1, "level": "adm2", "iso3": "ZWE",
        "areas": {"source": str(path), "id": "area_id"},
        "process": {"kind": "gp", "kernel": "matern32", "lengthscale": extent},
        "model": {
            "type": "PriorCVAE", "structure": "gated-linear", "encoder": "full",
            "likelihood_variance": 1e-3, "warm_start_sweeps": 200,
        },
        "training": {
            "steps": 20, "conditions_per_step": 16, "learning_rate": 1e-6, "warmup_steps": 5,
        },
    }  # fmt: skip
    read, _ = read_table(path, id="area_id")
    table = _shuffled(read["area_id"], read["y"], read["n_obs"])
    return Survey(train_run(parse_config(raw, "zimbabwe.yaml"), out=out).bundle, table)


def _shuffled(ids: pd.Series, y: pd.Series, n: pd.Series) -> pd.DataFrame:
    """Whole people, the areas in another order than the bundle's."""
    counts = {"y": y.round().astype(int), "n": n.round().astype(int)}
    return pd.DataFrame({"area_id": ids} | counts).sample(frac=1.0, random_state=1)


@pytest.fixture(scope="module")
def bundle(survey: Survey) -> Bundle:
    return survey.bundle


@pytest.fixture(scope="module")
def table(survey: Survey) -> pd.DataFrame:
    return survey.table


@pytest.fixture(scope="module")
def fitted(survey: Survey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `binomial.R` wrote, of the bundle in a cache of the catalogue."""
    folder = tmp_path_factory.mktemp("brms")
    info = survey.bundle.info
    key = (info.type, info.level, info.iso3)
    export_bundle(bundle=survey.bundle, to="brms", out=folder.joinpath("cache", "bundles", *key))
    survey.table.to_csv(folder / "data.csv", index=False)
    library = folder / "library"
    library.mkdir()
    cache = str(folder / "cache")
    run("Rscript", HERE / "binomial.R", folder, *key, R_LIBS=install(library), PRIORVAE_CACHE=cache)
    return folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / name)


def probabilities(bundle: Bundle, folder: Path, table: pd.DataFrame) -> np.ndarray:
    """Each district's prevalence `(draw, row)` from the parameters' draws, decoded in NumPy."""
    draws = read(folder, "draws.csv")
    latents = draws[[f"nn_z[{j}]" for j in range(1, bundle.latent_dim + 1)]].to_numpy()
    decoded = [
        bundle.decode_numpy(z, {"lengthscale": value})
        for z, value in zip(latents, draws["nn_lengthscale"], strict=True)
    ]
    f = draws["nn_scale"].to_numpy()[:, None] * np.array(decoded)
    index = [bundle.area_ids.index(area) for area in table["area_id"]]
    return special.expit(draws["b_Intercept"].to_numpy()[:, None] + f[:, index])


def test_the_issues_own_formula_finds_the_bundle_and_converges(fitted: Path) -> None:
    result = json.loads((fitted / "result.json").read_text())
    assert result["rhat"] < 1.05


def test_expectations_are_a_manual_computation_from_the_draws(
    bundle: Bundle, fitted: Path, table: pd.DataFrame
) -> None:
    """In R from the draws of f, the very same numbers; from latents and NumPy's decoder, 1e-10."""
    assert json.loads((fitted / "result.json").read_text())["apart"] == 0.0
    expected = table["n"].to_numpy() * probabilities(bundle, fitted, table)
    np.testing.assert_allclose(read(fitted, "expected.csv"), expected, rtol=1e-10)


def test_log_likelihood_and_loo(bundle: Bundle, fitted: Path, table: pd.DataFrame) -> None:
    """The one to 1e-10; the other against ArviZ, whose smoothing of the tail differs a little."""
    p = probabilities(bundle, fitted, table)
    expected = stats.binom.logpmf(table["y"].to_numpy(), table["n"].to_numpy(), p)
    np.testing.assert_allclose(read(fitted, "log_lik.csv"), expected, rtol=1e-9, atol=1e-10)
    shape = (2, -1, len(table))
    draws = arviz.from_dict(
        posterior={"p": p.reshape(shape)}, log_likelihood={"y": expected.reshape(shape)}
    )
    result = json.loads((fitted / "result.json").read_text())
    # Districts with hundreds of people tested weigh a lot in their own fit.
    told = pytest.warns(UserWarning, match="shape parameter of Pareto")
    with told if result["worst_k"] > RELIABLE else nullcontext():
        theirs = arviz.loo(draws)
    assert abs(result["elpd"] - theirs.elpd_loo) < 0.1 * theirs.se


def test_the_posterior_predictive_check_is_drawn(fitted: Path) -> None:
    assert (fitted / "check.pdf").stat().st_size > 5000
