import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.inference import ExactPrior
from priorvae.pipeline.gradient import gradient_seconds, log_density, quickest
from priorvae.processes import GP, Condition
from tests.maps import lattice
from tests.samples import reference_bundle


def process(side: int) -> GP:
    areas = lattice(side, side)
    assert areas.extent is not None
    span = (0.1 * areas.extent, areas.extent)
    return GP(
        areas, "matern32", (Condition("lengthscale", "km", *span, "log", "loguniform"),), {}, 1e-6
    )


def test_the_density_is_that_of_a_poisson_regression() -> None:
    exact = ExactPrior(process(3))
    z, u = np.random.default_rng(1).standard_normal(9), 0.3
    (condition,) = exact.conditions
    value = condition.low * (condition.high / condition.low) ** ((np.tanh(u) + 1) / 2)
    f = np.linalg.cholesky(exact.process.covariance({"lengthscale": value})) @ z
    expected = f.sum() - np.exp(f).sum() - z @ z / 2 + np.log(1 - np.tanh(u) ** 2)
    found = log_density(exact, jnp.asarray(z), jnp.array([u]))
    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_timed_in_the_type_that_was_asked_for(dtype: str) -> None:
    bundle = reference_bundle(process(4))
    z, u = jnp.zeros(bundle.latent_dim, dtype), jnp.zeros(1, dtype)
    assert {slope.dtype for slope in jax.grad(lambda at: log_density(bundle, *at))((z, u))} == {
        jnp.dtype(dtype)
    }
    assert 1e-8 < gradient_seconds(bundle, dtype, seconds=0.1) < 1e-2


def test_a_decoder_is_cheaper_than_a_factorisation() -> None:
    exact = process(10)
    decoder = gradient_seconds(reference_bundle(exact), "float64", seconds=0.2)
    # 100 areas: about sevenfold, so that half of that is no accident.
    assert gradient_seconds(ExactPrior(exact), "float64", seconds=0.1) > 3 * decoder


def test_repetitions_are_divided_by_their_number() -> None:
    def spend(num: int) -> None:
        until = time.process_time() + 1e-3 * num
        while time.process_time() < until:
            pass

    assert quickest(spend, 0.02) == pytest.approx(1e-3, rel=0.1)
