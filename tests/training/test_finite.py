"""Draws for training, in float32: finite over the whole hyperprior, however many."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from priorvae.areas import read_areas
from priorvae.config import TrainingConfig
from priorvae.processes import build_process
from priorvae.processes.base import require_gaussian
from priorvae.processes.build import read_process
from priorvae.training.draws import RootDraws

MILLION = 1_000_000
LENGTHSCALE = {"distribution": "loguniform", "low": 0.02, "high": 2.0, "unit": "extent"}
HARD: dict[str, dict[str, Any]] = {
    # The smoothest kernel: its covariance is singular but for the nugget.
    "rbf": {"kind": "gp", "kernel": "rbf", "lengthscale": LENGTHSCALE},
    "matern12": {"kind": "gp", "kernel": "matern12", "lengthscale": LENGTHSCALE},
    "car": {"kind": "car", "alpha": {"distribution": "uniform", "low": 0.0, "high": 0.999}},
    "leroux": {"kind": "leroux", "rho": {"distribution": "uniform", "low": 0.0, "high": 0.999}},
    "bym2": {"kind": "bym2", "rho": {"distribution": "uniform", "low": 0.0, "high": 1.0}},
}


@pytest.mark.parametrize(
    "kind", ["car", *(pytest.param(kind, marks=pytest.mark.slow) for kind in HARD if kind != "car")]
)
def test_a_million_draws_are_finite(kind: str) -> None:
    process = require_gaussian(
        build_process(read_process(HARD[kind]), read_areas("grid:6x6")), "this test"
    )
    assert process.nugget < 1e-5
    training = TrainingConfig(
        draws="random", batch_size=10_000, conditions_per_step=100, over="hyperprior"
    )
    source = RootDraws.build(process, training, 0.0)

    @jax.jit
    def largest(keys: jax.Array) -> jax.Array:
        def one(key: jax.Array) -> jax.Array:
            draws = source.batch(key).draws
            assert draws.dtype == jnp.float32
            # A NaN anywhere makes the maximum one.
            return jnp.max(jnp.abs(draws))

        return jax.lax.map(one, keys)

    found = largest(jax.random.split(jax.random.key(0), MILLION // source.batch_size))
    # Marginal sds are at most some tens: nothing of the kind is far outside them.
    assert bool(jnp.isfinite(found).all()) and float(found.max()) < 1e3
