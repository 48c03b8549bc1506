"""Zimbabwe's districts in brms, as asked for in its issue 1482: HIV prevalence in 2016, binomial.

The survey's map and counts are found beside the checkout, in `shared/data/zimbabwe`.
"""

import json
from pathlib import Path
from typing import Any

import arviz
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from priorvae.bundles import Bundle
from priorvae.config import parse_config
from priorvae.export import export_bundle
from priorvae.inference.data import read_table
from priorvae.pipeline import train_run
from tests.brms import install, run

pytestmark = [pytest.mark.slow, pytest.mark.r]

HERE = Path(__file__).parent
TYPE, LEVEL, ISO3 = KEYS = ("PriorCVAE", "adm2", "ZWE")


@pytest.fixture(scope="module")
def survey(repository: Path) -> Path:
    """The districts, with counts of people with HIV (`y`) among those tested (`n_obs`)."""
    path = repository.parent / "shared" / "data" / "zimbabwe" / "zwe2016phia.geojson"
    if not path.exists():
        pytest.skip("shared/data/zimbabwe is not beside the checkout")
    return path


@pytest.fixture(scope="module")
def bundle(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A certified bundle; its warm start is so close to the prior that steps are a formality."""
    extent = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
    raw: dict[str, Any] = {
        "name": "zimbabwe-matern32-priorcvae",
        "seed": 1,
        "level": LEVEL,
        "iso3": ISO3,
        "areas": {"source": str(survey), "id": "area_id"},
        "process": {"kind": "gp", "kernel": "matern32", "lengthscale": extent},
        "model": {
            "type": TYPE, "structure": "gated-linear", "encoder": "full",
            "likelihood_variance": 1e-3, "warm_start_sweeps": 200,
        },
        "training": {
            "steps": 20, "conditions_per_step": 16, "learning_rate": 1e-6, "warmup_steps": 5,
        },
    }  # fmt: skip
    out = tmp_path_factory.mktemp("zimbabwe") / "run"
    return train_run(parse_config(raw, "zimbabwe.yaml"), out=out).bundle


@pytest.fixture(scope="module")
def table(survey: Path) -> pd.DataFrame:
    """Whole people, the districts in another order than the bundle's."""
    read, _ = read_table(survey, id="area_id")
    counts = read[["y", "n_obs"]].round().astype(int)
    found = pd.DataFrame({"area_id": read["area_id"], "y": counts["y"], "n": counts["n_obs"]})
    return found.sample(frac=1.0, random_state=1)


@pytest.fixture(scope="module")
def fitted(bundle: Bundle, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `zimbabwe.R` wrote, of the bundle in a cache of the catalogue."""
    folder = tmp_path_factory.mktemp("brms")
    place = folder.joinpath("cache", "bundles", *KEYS)
    export_bundle(bundle=bundle, to="brms", out=place)
    table.to_csv(folder / "data.csv", index=False)
    library = folder / "library"
    library.mkdir()
    cache = str(folder / "cache")
    run("Rscript", HERE / "zimbabwe.R", folder, R_LIBS=install(library), PRIORVAE_CACHE=cache)
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
    # Districts with hundreds of people tested weigh a lot in their own fit.
    with pytest.warns(UserWarning, match="shape parameter of Pareto"):
        theirs = arviz.loo(draws)
    result = json.loads((fitted / "result.json").read_text())
    assert abs(result["elpd"] - theirs.elpd_loo) < 0.1 * theirs.se


def test_the_posterior_predictive_check_is_drawn(fitted: Path) -> None:
    assert (fitted / "check.pdf").stat().st_size > 5000
