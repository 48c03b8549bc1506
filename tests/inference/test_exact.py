"""The process itself as a prior: one product for the CAR family, and no matrix to factorise."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from priorvae.areas import Areas, read_areas
from priorvae.areas.union import join_systems
from priorvae.errors import ProcessError
from priorvae.inference import ExactPrior
from priorvae.processes import BYM2, GP, ICAR, SAR, Condition, Gaussian, Leroux, ProperCAR
from priorvae.processes.aggregated import Aggregated


def free(name: str, high: float, transform: str) -> tuple[Condition, ...]:
    return (Condition(name, "", 0.0, high, transform, "uniform"),)


CASES: dict[str, tuple[Callable[[Areas], Gaussian], dict[str, float]]] = {
    "car": (lambda a: ProperCAR(a, free("alpha", 0.99, "log1m"), {}), {"alpha": 0.8}),
    "sar": (lambda a: SAR(a, free("rho", 0.9, "log1m"), {}), {"rho": 0.6}),
    "leroux": (lambda a: Leroux(a, free("rho", 0.99, "arcsine"), {}), {"rho": 0.9}),
    "bym2": (lambda a: BYM2(a, free("rho", 1.0, "arcsine"), {}), {"rho": 0.7}),
    "bym2-at-1": (lambda a: BYM2(a, free("rho", 1.0, "arcsine"), {}), {"rho": 1.0}),
    "icar": (lambda a: ICAR(a), {}),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_spectral_prior_has_the_covariance_of_its_process(case: str, grid: Areas) -> None:
    make, hyper = CASES[case]
    prior = ExactPrior(make(grid))
    matrix = jax.jacobian(lambda z: prior.decode(z, hyper))(jnp.zeros(prior.latent_dim))
    expected = prior.process.covariance(hyper)
    np.testing.assert_allclose(matrix @ matrix.T, expected, atol=1e-12)
    z = jnp.arange(prior.latent_dim, dtype=float)
    np.testing.assert_allclose(prior.decode(z, hyper), matrix @ z, atol=1e-10)


def test_a_singular_prior_has_no_more_latents_than_its_rank(grid: Areas) -> None:
    assert ExactPrior(ICAR(grid)).latent_dim == len(grid) - 1


def test_a_spectral_prior_factorises_nothing(grid: Areas) -> None:
    make, hyper = CASES["bym2"]
    prior = ExactPrior(make(grid))
    trace = str(jax.make_jaxpr(lambda z: prior.decode(z, hyper))(jnp.zeros(prior.latent_dim)))
    assert "cholesky" not in trace and trace.count("dot_general") == 1


def test_a_covariance_without_a_cholesky_factor_is_refused() -> None:
    """The same areas in two systems are equal in every draw; one system alone is served."""
    squares = read_areas("grid:2x3")
    fine = GP(squares, "matern32", (), {"lengthscale": 2.0})
    alone = sp.eye_array(6, format="csr")
    ExactPrior(Aggregated(squares, fine, alone, (), {}, 1e-6))
    twice = join_systems(squares, {"again": squares})
    both = sp.vstack([alone, alone], format="csr")
    with pytest.raises(ProcessError, match=r"aggregated on this map is singular \(areas determine"):
        ExactPrior(Aggregated(twice, fine, both, (), {}, 1e-6))
