import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from priorvae.bundles import Bundle
from priorvae.errors import DataError
from priorvae.inference import ExactPrior, Fit, RegressionPriors, build_data, fit
from priorvae.inference.diagnostics import Diagnostics, diagnose, ebfmi
from priorvae.inference.sampling import default_chain_method


def test_an_intercept_has_the_posterior_of_quadrature(
    exact: ExactPrior, table: pd.DataFrame
) -> None:
    """With the effect's scale fixed at 0 the posterior is one-dimensional."""
    data = build_data("cases | trials(tested) ~ 1", "binomial", table)
    priors = RegressionPriors(scale=0.0, conditions=(("lengthscale", exact.conditions[0].low * 2),))
    run = fit(
        jax.random.key(2), data, exact, priors=priors, num_warmup=300, num_samples=1000,
        num_chains=2,
    )  # fmt: skip
    y, n = data.y, data.trials
    location = np.median(np.log((y + 0.5) / (n - y + 0.5)))
    grid = np.linspace(-4, 2, 20001)
    log_density = stats.t.logpdf(grid, 3, location, 2.5) + (
        grid * y.sum() - np.logaddexp(0, grid) * n.sum()
    )
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = weights @ grid
    sd = np.sqrt(weights @ (grid - mean) ** 2)
    draws = run.draws("Intercept")
    # Four standard errors: probability 6e-5; the sd's is about sd / sqrt(2 ESS).
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(run.diagnostics.min_ess_bulk)
    assert abs(draws.std() - sd) < 4 * sd / np.sqrt(2 * run.diagnostics.min_ess_bulk) * 1.3


def test_a_simulated_truth_is_recovered(fitted: Fit, truth: dict[str, np.ndarray]) -> None:
    risk = fitted.draws("risk").reshape(-1, 20)
    z = (np.log(truth["risk"]) - np.log(risk).mean(0)) / np.log(risk).std(0)
    # Under the model z is standard normal: the largest of 20 passes 3.9 with probability .002.
    assert np.abs(z).max() < 3.9
    slope = fitted.draws("b_x")
    assert abs(slope.mean() - 0.8) < 3.3 * slope.std()
    assert fitted.diagnostics.max_rhat < 1.05


def test_draws_carry_the_names_of_the_areas(fitted: Fit, bundle: Bundle) -> None:
    posterior = fitted.idata["posterior"]
    for name in ("f", "mu", "risk"):
        assert posterior[name].dims == ("chain", "draw", "area")
        assert tuple(posterior[name].coords["area"].values) == bundle.area_ids
    assert fitted.parameters == ("Intercept", "b_x", "f_scale", "f_lengthscale")
    assert fitted.hyperparameters == ("f_lengthscale",)
    births = np.exp(fitted.data.offset)
    np.testing.assert_allclose(fitted.draws("mu"), births * fitted.draws("risk"), rtol=1e-10)


@pytest.mark.slow
def test_the_same_key_gives_the_same_draws(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("deaths ~ 1", "poisson", table)
    options = {"num_warmup": 5, "num_samples": 5, "num_chains": 1}
    first, second = (fit(jax.random.key(4), data, exact, **options) for _ in range(2))
    np.testing.assert_array_equal(first.draws("f"), second.draws("f"))


def test_data_in_another_order_are_refused(exact: ExactPrior, table: pd.DataFrame) -> None:
    data = build_data("deaths ~ x", "poisson", table.iloc[::-1])
    with pytest.raises(DataError, match="not in the order of the prior's areas"):
        fit(jax.random.key(1), data, exact)


def test_chains_run_in_parallel_where_each_has_a_device() -> None:
    assert default_chain_method(2) == "parallel"
    assert default_chain_method(3) == "sequential"


def healthy() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    shape = (4, 500)
    stats = {
        "diverging": np.zeros(shape, bool),
        "energy": rng.standard_normal(shape),
        "num_steps": np.full(shape, 7),
    }
    return {"b": rng.standard_normal(shape), "f": rng.standard_normal((*shape, 3))}, stats


def diagnosed(draws: dict[str, np.ndarray], stats: dict[str, np.ndarray]) -> Diagnostics:
    return diagnose(draws, stats, 2.0)


def test_independent_draws_raise_no_warning() -> None:
    found = diagnosed(*healthy())
    assert found.warnings == ()
    assert (found.num_chains, found.num_draws, found.mean_leapfrogs) == (4, 500, 7)
    # Independent draws: 2000 of them, give or take the noise of the estimate.
    assert 1500 < found.min_ess_bulk < 2500
    assert found.min_ess_per_second == min(found.min_ess_bulk, found.min_ess_tail) / 2


def test_a_stray_chain_is_reported() -> None:
    draws, stats = healthy()
    draws["f"][2, :, 1] += 3
    found = diagnosed(draws, stats)
    assert found.worst == "f"
    assert any("R-hat" in w and "for f" in w for w in found.warnings)


def test_divergences_and_energy_are_reported() -> None:
    draws, stats = healthy()
    stats["diverging"][1, 3] = True
    stats["energy"][0] = np.cumsum(stats["energy"][0])
    warnings = diagnosed(draws, stats).warnings
    assert any("1 of 2000 transitions diverged" in w for w in warnings)
    assert any("E-BFMI" in w for w in warnings)


def test_a_stuck_chain_is_reported() -> None:
    draws, stats = healthy()
    draws["b"][1] = 1.0
    assert any("R-hat" in w and "for b" in w for w in diagnosed(draws, stats).warnings)


def test_ebfmi_of_known_energies() -> None:
    # Differences 2, -2, 2: mean square 4; variance 1.
    np.testing.assert_allclose(ebfmi(np.array([[1.0, -1.0, 1.0, -1.0]])), [4.0])
    rng = np.random.default_rng(0)
    # For independent energies the expectation is 2.
    np.testing.assert_allclose(ebfmi(rng.standard_normal((1, 100_000))), [2.0], rtol=0.02)


@pytest.mark.slow
def test_decoder_and_process_have_one_posterior(fitted: Fit, exact: ExactPrior) -> None:
    other = fit(jax.random.key(7), fitted.data, exact, num_chains=2)
    for name in ("f", "risk"):
        ours, theirs = (run.draws(name).reshape(-1, 20) for run in (fitted, other))
        ess = min(fitted.diagnostics.min_ess_bulk, other.diagnostics.min_ess_bulk)
        z = (ours.mean(0) - theirs.mean(0)) / (theirs.std(0) * np.sqrt(2 / ess))
        assert np.abs(z).max() < 4
