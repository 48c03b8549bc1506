from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from priorvae.areas import Areas, read_areas
from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.inference import ExactPrior, Fit, build_data, fit
from priorvae.processes import GP, Condition, ProperCAR
from tests.samples import reference_bundle


def lengthscale(areas: Areas) -> Condition:
    assert areas.extent is not None
    low, high = 0.1 * areas.extent, areas.extent
    return Condition("lengthscale", "km", low, high, "log", "loguniform")


def gp(areas: Areas) -> GP:
    return GP(areas, "matern32", (lengthscale(areas),), {}, 1e-6)


@pytest.fixture(scope="session")
def grid() -> Areas:
    return read_areas("grid:4x5")


@pytest.fixture(scope="session")
def process(grid: Areas) -> GP:
    return gp(grid)


@pytest.fixture(scope="session")
def exact(process: GP) -> ExactPrior:
    return ExactPrior(process)


@pytest.fixture(scope="session")
def car(grid: Areas) -> ProperCAR:
    alpha = Condition("alpha", "", 0.0, 0.99, "log1m", "uniform")
    return ProperCAR(grid, (alpha,), {})


@pytest.fixture(scope="session")
def bundle(process: GP) -> Bundle:
    return reference_bundle(process)


@pytest.fixture(scope="session")
def bundle_path(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "grid"
    write_bundle(bundle, path)
    assert load_bundle(path).area_ids == bundle.area_ids
    return path


@pytest.fixture
def table(grid: Areas) -> pd.DataFrame:
    """Counts, exposures and covariates of the grid, indexed by area id."""
    rng = np.random.default_rng(1)
    n = len(grid)
    births = rng.integers(500, 5000, n)
    x = rng.normal(size=n)
    trials = rng.integers(20, 60, n)
    return pd.DataFrame(
        {
            "deaths": rng.poisson(0.01 * births * np.exp(0.4 * x)),
            "births": births.astype(float),
            "x": x,
            "w": rng.normal(3.0, 2.0, n),
            "region": np.where(np.arange(n) % 2, "north", "south"),
            "cases": rng.binomial(trials, 0.3),
            "tested": trials,
        },
        index=pd.Index(grid.ids, name="area"),
    )


@pytest.fixture(scope="session")
def truth(exact: ExactPrior) -> dict[str, np.ndarray]:
    """One draw of everything from the model, with covariate effects chosen."""
    rng = np.random.default_rng(3)
    hyper = {"lengthscale": 2 * exact.conditions[0].low}
    f = 0.6 * exact.process.root(hyper) @ rng.standard_normal(exact.latent_dim)
    x = rng.normal(2.0, 0.5, exact.latent_dim)
    births = rng.integers(200, 800, exact.latent_dim)
    risk = np.exp(-5.0 + 0.8 * x + f)
    deaths = rng.poisson(births * risk)
    return {"f": f, "x": x, "births": births, "risk": risk, "deaths": deaths}


@pytest.fixture(scope="session")
def fitted(bundle: Bundle, truth: dict[str, np.ndarray]) -> Fit:
    """A short fit to data whose truth is known."""
    table = pd.DataFrame(
        {name: truth[name] for name in ("deaths", "births", "x")},
        index=pd.Index(bundle.area_ids, name="area"),
    )
    data = build_data("deaths ~ x + offset(log(births))", "poisson", table)
    return fit(jax.random.key(1), data, bundle, num_warmup=400, num_samples=400, num_chains=2)
