"""A fit, corrected: what is replaced, what is kept, and what is not claimed."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats

from priorvae.bundles import Bundle
from priorvae.inference import Fit, correct_fit, fit
from priorvae.inference.regression import typical_response
from priorvae.inference.replay import replay
from priorvae.inference.reweighting import exact_fields
from priorvae.processes import GP

KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def wide(bundle: Bundle) -> Bundle:
    """A decoder whose fields are 2 % too wide."""
    return widened(bundle, 1.02)


@pytest.fixture(scope="module")
def fitted_wide(fitted: Fit, wide: Bundle) -> Fit:
    return fit(KEY, fitted.data, wide, num_warmup=300, num_samples=200, num_chains=2)


def widened(bundle: Bundle, factor: float) -> Bundle:
    weights = {k: v * (factor if "kernel" in k else 1) for k, v in bundle.weights.items()}
    return replace(bundle, weights=weights)


def test_a_decoder_that_is_the_prior_changes_nothing(
    fitted: Fit, bundle: Bundle, process: GP
) -> None:
    found = correct_fit(KEY, fitted, bundle, process)
    assert found.correction is not None
    assert found.correction.weights.fraction > 0.9999
    # Weights this equal still take or leave a draw here and there; none twice over.
    np.testing.assert_allclose(found.draws("f").mean(), fitted.draws("f").mean(), atol=1e-3)
    assert all(abs(shift.value) < 0.01 for shift in found.correction.parameters.values())


def test_corrected_draws_are_draws_of_the_same_chain_with_exact_fields(
    fitted_wide: Fit, wide: Bundle, process: GP
) -> None:
    fitted, decoder = fitted_wide, wide
    found = correct_fit(KEY, fitted, decoder, process)
    assert found.correction is not None
    source = found.correction.source
    assert source is not None
    chains = np.arange(source.shape[0])[:, None]
    for name in ("f_z", "f_scale", "b_x"):
        np.testing.assert_array_equal(found.draws(name), fitted.draws(name)[chains, source])
    fields = exact_fields(jax.random.split(KEY)[0], fitted, decoder, process)
    f = fitted.draws("f_scale")[..., None] * fields.reshape(fitted.draws("f").shape)
    np.testing.assert_allclose(found.draws("f"), f[chains, source], rtol=1e-6)
    # The intercept follows: it and the field's mean are sampled as one.
    moved = f.mean(-1) - fitted.draws("f").mean(-1)
    expected = (fitted.draws("Intercept") - moved)[chains, source]
    np.testing.assert_allclose(found.draws("Intercept"), expected, atol=1e-5)
    stats = found.idata["sample_stats"]
    np.testing.assert_array_equal(stats["source_draw"], source)
    assert set(stats.data_vars) == {"log_weight", "source_draw"}
    assert stats.attrs["effective_fraction"] == found.correction.weights.fraction
    kept = found.correction.sampled
    np.testing.assert_array_equal(kept["posterior"]["f"], fitted.draws("f"))
    assert {"diverging", "energy", "log_weight"} <= set(kept["sample_stats"].data_vars)
    # Repeats count: what is left of the draws is less; what the sampler did is as it was.
    assert found.diagnostics.min_ess_bulk != fitted.diagnostics.min_ess_bulk
    assert found.diagnostics.divergences == fitted.diagnostics.divergences
    assert "log_weight" not in fitted.idata["sample_stats"]


def test_weights_are_those_of_the_likelihood_and_the_intercept(
    fitted: Fit, bundle: Bundle, process: GP
) -> None:
    fields = exact_fields(jax.random.split(KEY)[0], fitted, bundle, process)
    found = replay(fitted, bundle.conditions, fields)
    draws = {n: fitted.draws(n).reshape(len(fields), -1) for n in ("f", "centre", "f_scale", "b_x")}
    f = draws["f_scale"] * fields
    data = fitted.data
    x = data.design[:, 0]
    eta = draws["centre"] + (f - f.mean(1, keepdims=True)) + draws["b_x"] * (x - x.mean())
    expected = stats.poisson.logpmf(data.y, np.exp(eta + data.offset)).sum(1)
    location = typical_response(data) + f.mean(1)
    expected += stats.t.logpdf((draws["centre"][:, 0] - location) / 2.5, 3) - np.log(2.5)
    # All else is the same on both sides, and a constant given the draw: differences tell.
    own = replay(fitted, bundle.conditions, draws["f"] / draws["f_scale"])
    eta = draws["centre"] + (draws["f"] - draws["f"].mean(1, keepdims=True))
    eta += draws["b_x"] * (x - x.mean())
    ours = stats.poisson.logpmf(data.y, np.exp(eta + data.offset)).sum(1)
    location = typical_response(data) + draws["f"].mean(1)
    ours += stats.t.logpdf((draws["centre"][:, 0] - location) / 2.5, 3) - np.log(2.5)
    difference = found.log_density - own.log_density
    np.testing.assert_allclose(difference, expected - ours, atol=2e-4)


def test_shifts_are_those_of_the_weights(fitted_wide: Fit, wide: Bundle, process: GP) -> None:
    fitted, decoder = fitted_wide, wide
    correction = correct_fit(KEY, fitted, decoder, process).correction
    assert correction is not None
    weights = np.exp(correction.weights.log_weights).ravel()
    logs = np.log(fitted.draws("f_scale")).ravel()
    mean = weights @ logs
    expected = (logs.mean() - mean) / np.sqrt(weights @ (logs - mean) ** 2)
    np.testing.assert_allclose(correction.parameters["f_scale"].value, expected, rtol=1e-9)
    fields = exact_fields(jax.random.split(KEY)[0], fitted, decoder, process)
    exact = replay(fitted, decoder.conditions, fields).quantities["risk"]
    means = weights @ exact
    sds = np.sqrt(weights @ (exact - means) ** 2)
    shifts = (fitted.draws("risk").reshape(exact.shape).mean(0) - means) / sds
    worst = int(np.abs(shifts).argmax())
    assert correction.worst_area == fitted.data.area_ids[worst]
    assert correction.areas is not None
    np.testing.assert_allclose(correction.areas.value, shifts[worst], rtol=1e-9)


def test_weights_that_cannot_be_relied_on_change_nothing(
    fitted: Fit, bundle: Bundle, process: GP
) -> None:
    narrow = widened(bundle, 0.4)
    fitted = fit(KEY, fitted.data, narrow, num_warmup=200, num_samples=100, num_chains=2)
    found = correct_fit(KEY, fitted, narrow, process)
    assert found.correction is not None
    assert not found.correction.applied
    record = found.correction.to_dict()
    assert record["applied"] is False
    assert "k-hat" in str(record["reason"])
    np.testing.assert_array_equal(found.draws("f"), fitted.draws("f"))
    assert found.diagnostics == fitted.diagnostics
    assert "log_weight" in found.idata["sample_stats"]
