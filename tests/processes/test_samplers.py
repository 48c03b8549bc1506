"""Every sampler against the covariance, and against the others."""

import jax
import numpy as np
import pytest

from priorvae.config import CARConfig, GPConfig, ProcessConfig
from priorvae.errors import ProcessError
from priorvae.processes import Gaussian, build_process
from priorvae.processes.samplers import SAMPLERS, Sampler, build_sampler
from priorvae.processes.simulate import BLOCK, simulate
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
CONFIGS: dict[str, ProcessConfig] = {
    "gp": GPConfig(kind="gp", kernel="matern32", lengthscale=LENGTHSCALE),  # type: ignore[arg-type]
    "car": CARConfig(kind="car", alpha={"distribution": "uniform", "low": 0.0, "high": 0.99}),  # type: ignore[arg-type]
}
CASES = [
    (kind, name) for kind in CONFIGS for name in SAMPLERS if (kind, name) != ("gp", "eigenbasis")
]


@pytest.fixture(params=CASES, ids=" by ".join)
def case(request: pytest.FixtureRequest) -> tuple[Gaussian, Sampler]:
    kind, name = request.param
    process = build_process(CONFIGS[kind], lattice(4, 5))
    return process, build_sampler(process, name)


def test_draws_have_the_covariance(case: tuple[Gaussian, Sampler]) -> None:
    """200,000 draws at one value; each entry within 5.5 standard errors (400 entries)."""
    process, sampler = case
    num = 200_000 if sampler.name != "cholesky" else 20_000
    (condition,) = process.conditions
    value = float(condition.from_unit(0.3))
    z = np.random.default_rng(0).standard_normal((num, sampler.latent_dim))
    fields = sampler.draw(z, {condition.name: np.full(num, value)})
    expected = process.covariance({condition.name: value})
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / num)
    assert (np.abs(fields.T @ fields / num - expected) < 5.5 * error).all()


def test_every_draw_follows_its_own_hyperparameters(case: tuple[Gaussian, Sampler]) -> None:
    """Unit normals, one at a time, give the columns of a root of that draw's covariance."""
    process, sampler = case
    (condition,) = process.conditions
    for value in condition.grid(5):
        eye = np.eye(sampler.latent_dim)
        root = sampler.draw(eye, {condition.name: np.full(len(eye), value)}).T
        expected = process.covariance({condition.name: float(value)})
        assert np.linalg.norm(root @ root.T - expected) / np.linalg.norm(expected) < 1e-5
    assert sampler.error <= 1e-6


def test_simulation_is_the_same_however_long_it_is(case: tuple[Gaussian, Sampler]) -> None:
    process, sampler = case
    key, num = jax.random.key(1), BLOCK + 20
    long = list(simulate(key, process, sampler, num))
    assert [len(block.fields) for block in long] == [BLOCK, 20]
    (short,) = simulate(key, process, sampler, 7)
    np.testing.assert_array_equal(short.fields, long[0].fields[:7])
    for name, values in short.hyper.items():
        np.testing.assert_array_equal(values, long[0].hyper[name][:7])
    assert not np.array_equal(long[1].fields, long[0].fields[:20])


def test_simulated_fields_have_the_variance_of_their_hyperparameters(
    case: tuple[Gaussian, Sampler],
) -> None:
    """Whitened by their own covariance the fields are N(0, I): chi-square within 4.5 sd."""
    process, sampler = case
    (block,) = simulate(jax.random.key(2), process, sampler, BLOCK)
    squares = []
    for index, field in enumerate(block.fields):
        hyper = {name: float(values[index]) for name, values in block.hyper.items()}
        squares.append(field @ np.linalg.solve(process.covariance(hyper), field))
    assert abs(np.mean(squares) - 20) < 4.5 * np.sqrt(2 * 20 / BLOCK)


def test_auto_takes_the_quickest() -> None:
    names = {
        kind: build_sampler(build_process(config, lattice(3, 4))).name
        for kind, config in CONFIGS.items()
    }
    assert names == {"gp": "interpolated-root", "car": "eigenbasis"}


def test_a_sampler_that_cannot_serve_is_refused() -> None:
    process = build_process(CONFIGS["gp"], lattice(3, 4))
    with pytest.raises(ProcessError, match="eigenvectors that change"):
        build_sampler(process, "eigenbasis")
    with pytest.raises(ProcessError, match="did you mean 'cholesky'"):
        build_sampler(process, "cholesk")
