"""Pareto-smoothed weights and resampling, against what is known of them in closed form."""

import jax
import numpy as np
import pytest

from priorvae.inference.correction import systematic_resample
from priorvae.inference.importance import effective_fraction, reliable_below, smooth


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def test_weights_that_are_not_finite_are_not_relied_on() -> None:
    found = smooth(np.r_[np.zeros(20), -np.inf])
    assert (found.fraction, found.pareto_k, found.reliable) == (0.0, None, False)
    assert "not finite" in found.doubt


def test_the_tail_index_is_that_of_the_weights(rng: np.random.Generator) -> None:
    for k in (0.3, 1.0):
        found = smooth(-k * np.log(rng.uniform(size=20_000)))
        assert found.pareto_k is not None
        # The fit to the 425 largest has a standard error of (1 + k) / sqrt(425).
        assert found.pareto_k == pytest.approx(k, abs=4 * (1 + k) / np.sqrt(425))
        assert found.reliable == (k < 0.7)
    assert "k-hat" in found.doubt


def test_equal_weights_need_no_tail() -> None:
    found = smooth(np.full((2, 50), -1e5))
    assert (found.fraction, found.pareto_k, found.reliable) == (1.0, None, True)
    np.testing.assert_allclose(np.exp(found.log_weights).sum(), 1)


def test_fewer_draws_bear_less() -> None:
    assert reliable_below(4000) == 0.7
    assert reliable_below(100) == pytest.approx(0.5)


def test_effective_fraction_survives_extreme_weights() -> None:
    assert effective_fraction(np.full(10, -1e5)) == pytest.approx(1)
    assert effective_fraction(np.r_[1e5, np.zeros(9)]) == pytest.approx(0.1)
    assert effective_fraction(np.full(3, -np.inf)) == 0


def test_systematic_resampling_takes_what_is_due(rng: np.random.Generator) -> None:
    key = jax.random.key(1)
    equal = systematic_resample(key, np.zeros((3, 40)))
    np.testing.assert_array_equal(equal, np.tile(np.arange(40), (3, 1)))
    logs = rng.standard_normal((2, 500))
    source = systematic_resample(key, logs)
    due = 500 * np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    for row, expected in zip(source, due, strict=True):
        assert (np.diff(row) >= 0).all()
        assert np.abs(np.bincount(row, minlength=500) - expected).max() < 1
