"""Weights of a decoder that is not linear, against its density in closed form."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from priorvae.areas import read_areas
from priorvae.evaluation.density import gaussian_log_density, importance_fractions
from priorvae.processes import GP, ICAR

KEY = jax.random.key(4)
ROWS = 100


class Bent:
    """`f = R bend(z)`."""

    def __init__(self, root: np.ndarray, bend: Callable[[jax.Array], jax.Array]) -> None:
        self.latent_dim = root.shape[1]
        self._root, self._bend = root, bend

    def decode(self, z: jax.Array, hyper: Mapping[str, jax.Array]) -> jax.Array:
        return jnp.asarray(self._root) @ self._bend(z)


@pytest.fixture(scope="module")
def small() -> GP:
    return GP(read_areas("grid:2x2"), "matern32", (), {"lengthscale": 1.5}, 1e-6)


def test_log_density_is_that_of_scipy(small: GP) -> None:
    covariance = small.covariance({})
    fields = np.random.default_rng(1).standard_normal((3, 4))
    expected = stats.multivariate_normal(cov=covariance).logpdf(fields)
    np.testing.assert_allclose(gaussian_log_density(fields, covariance), expected, rtol=1e-9)


def test_fraction_follows_from_the_change_of_variables(small: GP) -> None:
    found = importance_fractions(KEY, Bent(small.root({}), jnp.sinh), small, [{}, {}])
    z = np.asarray(jax.random.normal(KEY, (2, ROWS, 4)), np.float64)
    # f = R sinh(z): |det df/dz| = |det R| prod cosh z, so that |det R| cancels in the weight.
    x = np.sinh(z)
    logs = np.sum(stats.norm.logpdf(x) - stats.norm.logpdf(z) + np.log(np.cosh(z)), axis=2)
    weights = np.exp(logs)
    np.testing.assert_allclose(found, weights.mean(1) ** 2 / (weights**2).mean(1), rtol=1e-6)


def test_a_map_that_folds_has_no_fraction(small: GP) -> None:
    folding = Bent(small.root({}), lambda z: z.at[0].set(z[0] ** 2))
    assert importance_fractions(KEY, folding, small, [{}]) == [None]


def test_a_density_that_is_not_known_has_no_fraction(small: GP) -> None:
    wide = Bent(np.c_[small.root({}), np.ones(4)], jnp.tanh)
    assert importance_fractions(KEY, wide, small, [{}]) == [None]
    icar = ICAR(read_areas("grid:2x2"), (), {})
    square = Bent(np.eye(4), jnp.tanh)
    assert importance_fractions(KEY, square, icar, [{}]) == [None]
