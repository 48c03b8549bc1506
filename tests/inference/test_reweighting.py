"""A fit, corrected: what is replaced, what is kept, and what is not claimed."""

from dataclasses import replace

import jax
import numpy as np

from priorvae.bundles import Bundle
from priorvae.inference import Fit, correct_fit
from priorvae.processes import GP

KEY = jax.random.key(2)


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


def test_corrected_draws_are_draws_of_the_same_chain(
    fitted: Fit, bundle: Bundle, process: GP
) -> None:
    found = correct_fit(KEY, fitted, widened(bundle, 1.02), process)
    assert found.correction is not None
    source = found.correction.source
    assert source is not None
    chains = np.arange(source.shape[0])[:, None]
    for name in ("f", "f_z", "risk", "Intercept"):
        np.testing.assert_array_equal(found.draws(name), fitted.draws(name)[chains, source])
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


def test_shifts_are_those_of_the_weights(fitted: Fit, bundle: Bundle, process: GP) -> None:
    correction = correct_fit(KEY, fitted, widened(bundle, 1.02), process).correction
    assert correction is not None
    weights = np.exp(correction.weights.log_weights).ravel()
    logs = np.log(fitted.draws("f_scale")).ravel()
    mean = weights @ logs
    expected = (logs.mean() - mean) / np.sqrt(weights @ (logs - mean) ** 2)
    np.testing.assert_allclose(correction.parameters["f_scale"].value, expected, rtol=1e-9)
    risks = fitted.draws("risk").reshape(len(weights), -1)
    means = weights @ risks
    sds = np.sqrt(weights @ (risks - means) ** 2)
    shifts = (risks.mean(0) - means) / sds
    worst = int(np.abs(shifts).argmax())
    assert correction.worst_area == fitted.data.area_ids[worst]
    assert correction.areas is not None
    np.testing.assert_allclose(correction.areas.value, shifts[worst], rtol=1e-9)


def test_weights_that_cannot_be_relied_on_change_nothing(
    fitted: Fit, bundle: Bundle, process: GP
) -> None:
    found = correct_fit(KEY, fitted, widened(bundle, 0.4), process)
    assert found.correction is not None
    assert not found.correction.applied
    record = found.correction.to_dict()
    assert record["applied"] is False
    assert "k-hat" in str(record["reason"])
    np.testing.assert_array_equal(found.draws("f"), fitted.draws("f"))
    assert found.diagnostics == fitted.diagnostics
    assert "log_weight" in found.idata["sample_stats"]
