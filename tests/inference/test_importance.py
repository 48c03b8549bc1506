"""Weights from a decoder to its process, against densities and posteriors known in closed form."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from priorvae.areas import read_areas
from priorvae.inference.correction import shift, systematic_resample
from priorvae.inference.importance import (
    effective_fraction,
    log_importance_weights,
    obstacle,
    reliable_below,
    smooth,
)
from priorvae.processes import GP, ICAR, Condition
from tests.samples import reference_bundle

Matrix = Callable[[Mapping[str, float]], np.ndarray]
NOISE = 0.3


class Decoder:
    """`f = A(theta) bend(z)`, linear where nothing bends."""

    def __init__(
        self,
        conditions: tuple[Condition, ...],
        matrix: Matrix,
        bend: Callable[[jax.Array], jax.Array] | None = None,
    ) -> None:
        self.conditions = conditions
        self.is_linear = bend is None
        self.latent_dim = matrix({c.name: c.low for c in conditions}).shape[1]
        self.matrix = matrix
        self._bend = bend

    def decode(self, z: jax.Array, hyper: Mapping[str, jax.Array]) -> jax.Array:
        assert self._bend is not None
        return jnp.asarray(self.matrix({})) @ self._bend(z)


def normal(field: np.ndarray, covariance: np.ndarray) -> float:
    return float(stats.multivariate_normal(cov=covariance).logpdf(field))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def fixed(process: GP) -> GP:
    """The process at one lengthscale, without conditions."""
    middle = {"lengthscale": float(process.conditions[0].from_unit(0.0))}
    return GP(process.areas, process.kernel, (), middle, 1e-4)


@pytest.mark.parametrize("extra", [0, 7], ids=["square", "wide"])
def test_weight_times_decoder_density_is_the_exact_density(
    process: GP, rng: np.random.Generator, extra: int
) -> None:
    n = process.size
    noise = 0.05 * rng.standard_normal((n, n + extra))
    decoder = Decoder(
        process.conditions, lambda h: np.c_[process.root(h), np.zeros((n, extra))] + noise
    )
    lengths = np.repeat(process.conditions[0].grid(3), [4, 1, 2])[[0, 5, 2, 6, 3, 4, 1]]
    z = rng.standard_normal((7, n + extra))
    found = log_importance_weights(decoder, process, z, {"lengthscale": lengths})
    for log_weight, latent, length in zip(found.values, z, lengths, strict=True):
        hyper = {"lengthscale": float(length)}
        a = decoder.matrix(hyper)
        field = a @ latent
        expected = normal(field, process.covariance(hyper))
        assert log_weight + normal(field, a @ a.T) == pytest.approx(expected, abs=1e-6)


def test_weights_of_a_bent_decoder_follow_from_the_change_of_variables(
    fixed: GP, rng: np.random.Generator
) -> None:
    root = fixed.root({})
    decoder = Decoder((), lambda h: root, jnp.sinh)
    z = rng.standard_normal((5, fixed.size))
    found = log_importance_weights(decoder, fixed, z, {})
    # f = R sinh(z): |det df/dz| = |det R| prod cosh z.
    density = stats.norm.logpdf(z).sum(1) - np.log(np.cosh(z)).sum(1)
    density -= np.linalg.slogdet(root)[1]
    exact = [normal(root @ np.sinh(row), fixed.covariance({})) for row in z]
    np.testing.assert_allclose(found.values + density, exact, rtol=1e-9)
    assert found.folded == 0


def test_weighted_prior_draws_of_a_bent_decoder_have_the_exact_covariance(
    rng: np.random.Generator,
) -> None:
    one = Condition("lengthscale", "km", 1.0, 2.0, "log", "loguniform")
    small = GP(read_areas("grid:2x2"), "matern32", (), {"lengthscale": 1.5}, 1e-6)
    assert obstacle(Decoder((one,), lambda h: np.eye(4)), small) is not None
    root = small.root({})
    decoder = Decoder((), lambda h: root, lambda z: 0.9 * z + 0.1 * jnp.sinh(z))
    z = rng.standard_normal((20_000, 4))
    found = smooth(log_importance_weights(decoder, small, z, {}).values)
    assert found.reliable
    fields = (0.9 * z + 0.1 * np.sinh(z)) @ root.T
    weights = np.exp(found.log_weights)
    for i, j in [(0, 0), (0, 1), (0, 3)]:
        products = fields[:, i] * fields[:, j]
        expected = small.covariance({})[i, j]
        error = np.sqrt(np.sum(weights**2 * (products - expected) ** 2))
        assert abs(weights @ products - expected) < 4 * error
    # What is corrected is large: the decoder's own variance is off by more than ten errors.
    assert abs(fields[:, 0].var() - small.covariance({})[0, 0]) > 10 * error


def test_a_map_that_folds_is_noticed(fixed: GP, rng: np.random.Generator) -> None:
    root = fixed.root({})
    decoder = Decoder((), lambda h: root, lambda z: z.at[0].set(z[0] ** 2))
    found = log_importance_weights(decoder, fixed, rng.standard_normal((200, fixed.size)), {})
    # The first latent is negative in half of the draws; four standard errors.
    assert found.folded == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 200))
    weights = smooth(found.values, folded=found.folded)
    assert not weights.reliable
    assert "folds" in weights.doubt


def test_a_conjugate_posterior_is_corrected_to_the_exact_one(
    fixed: GP, rng: np.random.Generator
) -> None:
    """`y = f + e`: both posteriors are Gaussian, so that both moments are known."""
    n = fixed.size
    k = fixed.covariance({})
    a = fixed.root({}) + 0.03 * rng.standard_normal((n, n))
    y = np.linalg.cholesky(k) @ rng.standard_normal(n) + NOISE * rng.standard_normal(n)
    latents = _posterior_latents(rng, a, y, 40_000)
    found = smooth(log_importance_weights(Decoder((), lambda h: a), fixed, latents, {}).values)
    assert found.reliable
    assert 0.1 < found.fraction < 0.9
    gain = k @ np.linalg.inv(k + NOISE**2 * np.eye(n))
    mean, covariance = gain @ y, k - gain @ k
    fields, weights = latents @ a.T, np.exp(found.log_weights)
    for values, expected in [(fields, mean), ((fields - mean) ** 2, np.diag(covariance))]:
        error = np.sqrt(weights**2 @ (values - expected) ** 2)
        # The largest of 20 areas in 2 moments; 4.5 standard errors.
        assert np.max(np.abs(weights @ values - expected) / error) < 4.5
    uncorrected = np.abs(fields.mean(0) - mean) / (fields.std(0) / np.sqrt(len(fields)))
    assert uncorrected.max() > 20
    worst = int(uncorrected.argmax())
    moved = shift(fields[:, worst].reshape(4, -1), found.log_weights.reshape(4, -1))
    expected = (fields[:, worst].mean() - mean[worst]) / np.sqrt(covariance[worst, worst])
    assert abs(moved.value - expected) < 4 * moved.error


def _posterior_latents(
    rng: np.random.Generator, matrix: np.ndarray, y: np.ndarray, num: int
) -> np.ndarray:
    """Draw z given `y = A z + e`: precision `I + A' A / s^2`."""
    precision = np.eye(len(y)) + matrix.T @ matrix / NOISE**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ matrix.T @ y / NOISE**2
    return mean + rng.standard_normal((num, len(y))) @ np.linalg.cholesky(covariance).T


def test_a_singular_process_is_weighted_within_its_range(rng: np.random.Generator) -> None:
    icar = ICAR(read_areas("grid:3x3"), (), {})
    root = icar.root({})
    decoder = Decoder((), lambda h: 1.1 * root)
    assert obstacle(decoder, icar) is None
    z = rng.standard_normal((3, root.shape[1]))
    found = log_importance_weights(decoder, icar, z, {})
    # Eight dimensions, each 1.1 times too wide.
    energy = stats.multivariate_normal(cov=icar.covariance({}), allow_singular=True)
    expected = [energy.logpdf(1.1 * root @ row) - energy.logpdf(root @ row) for row in z]
    np.testing.assert_allclose(found.values, np.array(expected) + 8 * np.log(1.1), rtol=1e-8)
    outside = Decoder((), lambda h: root + 0.01)
    assert "sum to zero" in str(obstacle(outside, icar))


def test_a_singular_decoder_has_no_weights(fixed: GP, rng: np.random.Generator) -> None:
    flat = fixed.root({}).copy()
    flat[:, 0] = 0
    z = rng.standard_normal((20, fixed.size))
    found = smooth(log_importance_weights(Decoder((), lambda h: flat), fixed, z, {}).values)
    assert (found.fraction, found.pareto_k, found.reliable) == (0.0, None, False)


def test_what_cannot_be_weighted_says_why(process: GP, fixed: GP) -> None:
    narrow = Decoder(process.conditions, lambda h: process.root(h)[:, :-1])
    bent = Decoder((), lambda h: np.c_[fixed.root({}), np.ones(fixed.size)], jnp.tanh)
    mixture = Decoder((), lambda h: np.eye(process.size))
    assert "19 latents for 20" in str(obstacle(narrow, process))
    assert "not linear in z" in str(obstacle(bent, fixed))
    assert "integrates lengthscale out" in str(obstacle(mixture, process))
    assert obstacle(reference_bundle(process), process) is None


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
