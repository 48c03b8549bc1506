from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats

from priorvae.config import CertificateConfig, PosteriorConfig
from priorvae.errors import DataError
from priorvae.evaluation.certificate import Certificate, certify
from priorvae.evaluation.posterior import (
    PosteriorFidelity,
    agreement,
    compare_hyperparameter,
    compare_posteriors,
)
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import GP
from tests.evaluation.linear import Linear

KEY = jax.random.key(8)
AREAS = 30
CENTRES = np.random.default_rng(1).standard_normal(AREAS)


def draws(seed: int, *, shrink: float = 1.0, shift: float = 0.0) -> dict[str, np.ndarray]:
    """A posterior of known means and sds, four independent chains."""
    rng = np.random.default_rng(seed)
    return {
        "risk": CENTRES + 0.3 * shrink * rng.standard_normal((4, 1000, AREAS)),
        "f_lengthscale": np.exp(2 + 0.4 * (shift + rng.standard_normal((4, 1000)))),
        "f_scale": np.exp(-1 + 0.2 * rng.standard_normal((4, 1000))),
    }


def compare(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> PosteriorFidelity:
    return compare_posteriors(
        KEY,
        first,
        second,
        variable="risk",
        hyperparameters=("f_lengthscale", "f_scale"),
        area_ids=[f"area-{i}" for i in range(AREAS)],
    )


@pytest.fixture(scope="module")
def certify_posterior(process: GP) -> object:
    prior = evaluate_prior(KEY, Linear(process, process.root), process, num_draws=200)
    return lambda posterior: certify(prior, posterior, CertificateConfig())


def failed(certificate: Certificate) -> set[str]:
    return {figure.name for figure in certificate.failures}


def test_two_exact_runs_pass_at_their_floor(certify_posterior) -> None:  # type: ignore[no-untyped-def]
    found = compare(draws(1), draws(2))
    # sqrt(2 / 4000) for independent draws, on each of 30 areas.
    assert found.rmse == pytest.approx(np.sqrt(2 / 4000), rel=0.5)
    assert found.rmse_floor == pytest.approx(np.sqrt(2 / 4000), rel=0.5)
    assert found.coverage == pytest.approx(0.95, abs=0.005)
    assert certify_posterior(found).passed


def test_shrunken_areas_fail_sd_and_coverage(certify_posterior) -> None:  # type: ignore[no-untyped-def]
    found = compare(draws(1, shrink=0.55), draws(2))
    assert found.sd_ratio == pytest.approx(0.55, abs=0.01)
    assert found.coverage == pytest.approx(2 * stats.norm.cdf(0.55 * 1.96) - 1, abs=0.01)
    assert failed(certify_posterior(found)) == {"sd_ratio", "coverage"}


def test_a_shifted_hyperparameter_fails_its_p_value(certify_posterior) -> None:  # type: ignore[no-untyped-def]
    found = compare(draws(1, shift=0.4), draws(2))
    length, scale = found.hyperparameters
    error = 4 * np.sqrt(2 / 4000)
    assert (length.scale, length.shift) == ("log", pytest.approx(0.4, abs=error))
    assert abs(length.shift_z) > 4 > abs(scale.shift_z)
    assert length.wasserstein == pytest.approx(0.4, abs=2 * error)
    assert failed(certify_posterior(found)) == {"hyper_pvalue"}


def test_a_shift_is_bounded_by_what_the_weights_find_or_else_by_the_two_runs(
    process: GP,
) -> None:
    prior = evaluate_prior(KEY, Linear(process, process.root), process, num_draws=200)
    bounds = PosteriorConfig(data="", formula="", family="poisson", hyper_shift=0.05)
    config = CertificateConfig(posterior=bounds)
    found = compare(draws(1, shift=0.4), draws(2))
    assert found.largest_shift() == pytest.approx(0.4, abs=4 * np.sqrt(2 / 4000))
    assert failed(certify(prior, found, config)) == {"hyper_pvalue", "hyper_shift"}
    same = compare(draws(1), draws(2))
    weighed = replace(same, shifts={"f_lengthscale": (-0.06, 0.001), "f_scale": (0.01, 0.001)})
    assert weighed.largest_shift() == 0.06
    assert failed(certify(prior, weighed, config)) == {"hyper_shift"}


def test_a_moved_area_is_named() -> None:
    first = draws(1)
    first["risk"][..., 11] += 0.6
    found = compare(first, draws(2))
    assert (found.worst_area, found.worst_shift) == ("area-11", pytest.approx(2, abs=0.1))


def test_truth_coverage_of_simulated_data() -> None:
    found = compare_posteriors(
        KEY,
        draws(1),
        draws(2),
        variable="risk",
        hyperparameters=(),
        area_ids=[str(i) for i in range(AREAS)],
        truth=CENTRES + np.r_[5.0, np.zeros(AREAS - 1)],
    )
    assert found.truth_coverage == (1 - 1 / AREAS, 1 - 1 / AREAS)


def test_agreement_of_equal_draws() -> None:
    sample = draws(3)["risk"][0]
    found = agreement(sample, sample)
    assert (found.correlation, found.rmse, found.sd_ratio) == (pytest.approx(1), 0, 1)
    assert found.coverage == pytest.approx(0.95, abs=0.001)


def test_hyperparameter_p_values_are_uniform_for_autocorrelated_chains() -> None:
    # AR(1) with 0.9: without thinning to near independence p-values would pile up at nought.
    rng = np.random.default_rng(3)

    def chains() -> np.ndarray:
        noise = rng.standard_normal((2, 1000)) * np.sqrt(1 - 0.9**2)
        values = np.zeros((2, 1000))
        values[:, 0] = rng.standard_normal(2)
        for t in range(1, 1000):
            values[:, t] = 0.9 * values[:, t - 1] + noise[:, t]
        return values

    pvalues = [compare_hyperparameter("x", chains(), chains(), rng).pvalue for _ in range(60)]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001


def test_arviz_data_are_read() -> None:
    import arviz as az

    first, second = (az.from_dict(posterior=draws(seed)) for seed in (1, 2))
    assert compare(first, second) == compare(draws(1), draws(2))


def test_a_missing_variable_is_named() -> None:
    second = draws(2)
    second["f_lengthscales"] = second.pop("f_lengthscale")
    with pytest.raises(DataError, match="did you mean 'f_lengthscales'"):
        compare(draws(1), second)


def test_a_weighted_posterior_is_certified_by_its_weights(process: GP) -> None:
    prior = evaluate_prior(KEY, Linear(process, process.root), process, num_draws=200)
    same = draws(1)
    found = compare_posteriors(
        KEY, same, same, variable="risk", hyperparameters=("f_scale",),
        area_ids=[f"area-{i}" for i in range(AREAS)], paired=True,
    )  # fmt: skip
    assert (found.rmse, found.rmse_floor) == (0, None)
    for pareto_k, status in [(None, "passed"), (0.69, "passed"), (0.71, "failed")]:
        judged = replace(found, importance_fraction=0.5, pareto_k=pareto_k)
        certificate = certify(prior, judged, CertificateConfig())
        assert certificate.status == status
        assert "hyper_pvalue" not in {figure.name for figure in certificate.figures}
    assert failed(certificate) == {"pareto_k"}
