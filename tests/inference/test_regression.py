import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer.util import log_density
from scipy import special, stats

from priorvae.bundles import Bundle
from priorvae.inference import ExactPrior, RegressionPriors, build_data, build_model
from priorvae.inference.regression import coefficient_names, parameter_names


def values_at(exact: ExactPrior, num_slopes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "f_z": rng.standard_normal(exact.latent_dim),
        "f_scale": np.asarray(0.7),
        "f_lengthscale": np.asarray(1.7 * exact.conditions[0].low),
        "slopes": rng.standard_normal(num_slopes),
        "centre": np.asarray(-1.2),
    }


def by_hand(exact: ExactPrior, values: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return f, and the log density of everything above the likelihood but the intercept."""
    condition = exact.conditions[0]
    covariance = exact.process.covariance({"lengthscale": float(values["f_lengthscale"])})
    f = values["f_scale"] * np.linalg.cholesky(covariance) @ values["f_z"]
    log_prior = (
        stats.norm.logpdf(values["f_z"]).sum()
        + stats.halfnorm.logpdf(values["f_scale"])
        + stats.loguniform.logpdf(values["f_lengthscale"], condition.low, condition.high)
        + stats.norm.logpdf(values["slopes"], 0, 2.5).sum()
    )
    return f, float(log_prior)


def test_poisson_log_density_equals_a_sum_by_hand(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("deaths ~ x + w + offset(log(births))", "poisson", table)
    values = values_at(exact, 2)
    f, expected = by_hand(exact, values)
    y, x = table["deaths"].to_numpy(), table[["x", "w"]].to_numpy()
    location = np.median(np.log(np.maximum(y, 0.1)) - np.log(table["births"]))
    intercept = values["centre"] - f.mean()
    expected += stats.t.logpdf(intercept, 3, location, 2.5)
    standardised = (x - x.mean(0)) / x.std(0, ddof=1)
    eta = intercept + standardised @ values["slopes"] + f + np.log(table["births"])
    expected += stats.poisson.logpmf(y, np.exp(eta)).sum()

    found, trace = log_density(build_model(data, exact), (), {}, values)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(trace["mu"]["value"], np.exp(eta), rtol=1e-10)
    # The reported intercept and slopes are those of the covariates as given.
    slopes = np.array([trace[name]["value"] for name in ("b_x", "b_w")])
    risk = np.exp(trace["Intercept"]["value"] + x @ slopes + f)
    np.testing.assert_allclose(trace["risk"]["value"], risk, rtol=1e-10)


def test_binomial_log_density_equals_a_sum_by_hand(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("cases | trials(tested) ~ region", "binomial", table)
    values = values_at(exact, 1)
    f, expected = by_hand(exact, values)
    y, n = table["cases"].to_numpy(), table["tested"].to_numpy()
    location = np.median(special.logit((y + 0.5) / (n + 1)))
    intercept = values["centre"] - f.mean()
    south = (table["region"] == "south").to_numpy(float)
    standardised = (south - south.mean()) / south.std(ddof=1)
    eta = intercept + standardised * values["slopes"][0] + f
    expected += stats.t.logpdf(intercept, 3, location, 2.5)
    expected += stats.binom.logpmf(y, n, special.expit(eta)).sum()

    found, trace = log_density(build_model(data, exact), (), {}, values)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(trace["mu"]["value"], special.expit(eta), rtol=1e-10)
    assert "risk" not in trace


def test_without_an_intercept_nothing_is_centred(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("deaths ~ 0 + x", "poisson", table)
    values = values_at(exact, 1)
    f, expected = by_hand(exact, values)
    x = table["x"].to_numpy()
    eta = x / x.std(ddof=1) * values["slopes"][0] + f
    expected += stats.poisson.logpmf(table["deaths"], np.exp(eta)).sum()
    del values["centre"]
    found, trace = log_density(build_model(data, exact), (), {}, values)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert "Intercept" not in trace
    assert "Intercept" not in parameter_names(data, exact)


def test_decoder_and_process_are_one_model(
    exact: ExactPrior, bundle: Bundle, table: pd.DataFrame
) -> None:
    """With f equal, the density is equal, whichever root of the covariance made it."""
    data = build_data("deaths ~ x", "poisson", table)
    values = values_at(exact, 1)
    _, trace = log_density(build_model(data, exact), (), {}, values)
    root = bundle.matrix({"lengthscale": float(values["f_lengthscale"])})
    z = np.linalg.solve(root, trace["f"]["value"] / values["f_scale"])
    _, other = log_density(build_model(data, bundle), (), {}, {**values, "f_z": z})
    np.testing.assert_allclose(other["mu"]["value"], trace["mu"]["value"], rtol=1e-8)


def test_priors_can_be_chosen(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("deaths ~ x", "poisson", table)
    low, high = exact.conditions[0].low, exact.conditions[0].high
    priors = RegressionPriors(
        intercept_scale=1.0,
        slope_scale=0.5,
        scale=dist.Gamma(2.0, 3.0),
        conditions=(("lengthscale", dist.Uniform(low, high)),),
    )
    _, trace = log_density(build_model(data, exact, priors), (), {}, values_at(exact, 1))
    assert isinstance(trace["f_scale"]["fn"], dist.Gamma)
    assert isinstance(trace["f_lengthscale"]["fn"], dist.Uniform)
    assert float(trace["slopes"]["fn"].base_dist.scale[0]) == 0.5
    assert float(trace["centre"]["fn"].scale) == 1.0


def test_names_fit_into_a_netcdf_file(table: pd.DataFrame) -> None:
    formula = "deaths ~ I(x / births) + region:x + log( births )"
    data = build_data(formula, "poisson", table)
    names = coefficient_names(data)
    assert "b_I(x_per_births)" in names
    assert "b_log(births)" in names
    assert not [name for name in names if "/" in name or " " in name]


@pytest.mark.parametrize("column", ["deaths", "cases"])
def test_the_intercepts_prior_is_finite_for_zeros(
    exact: ExactPrior, table: pd.DataFrame, column: str
) -> None:
    sparse = table.assign(**{column: [1] + [0] * (len(table) - 1)})
    formula = {"deaths": "deaths ~ x", "cases": "cases | trials(tested) ~ x"}[column]
    data = build_data(formula, {"deaths": "poisson", "cases": "binomial"}[column], sparse)
    density, _ = log_density(build_model(data, exact), (), {}, values_at(exact, 1))
    assert jnp.isfinite(density)
