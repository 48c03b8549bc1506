import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.gaussian_process import kernels as sklearn_kernels

from priorvae.processes.kernels import KERNELS

ORACLES = {
    "rbf": lambda scale: sklearn_kernels.RBF(scale),
    "matern12": lambda scale: sklearn_kernels.Matern(scale, nu=0.5),
    "matern32": lambda scale: sklearn_kernels.Matern(scale, nu=1.5),
    "matern52": lambda scale: sklearn_kernels.Matern(scale, nu=2.5),
}


def test_every_kernel_has_an_oracle() -> None:
    assert set(ORACLES) == set(KERNELS)


@pytest.mark.parametrize("name", sorted(KERNELS))
@pytest.mark.parametrize("lengthscale", [0.3, 2.0])
def test_agrees_with_scikit_learn(name: str, lengthscale: float) -> None:
    points = np.random.default_rng(0).normal(size=(20, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    ours = KERNELS[name](distances / lengthscale)
    np.testing.assert_allclose(ours, ORACLES[name](lengthscale)(points), atol=1e-13)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_jax_and_numpy_are_one(name: str) -> None:
    scaled = np.linspace(0, 5, 30)
    np.testing.assert_allclose(
        KERNELS[name](jnp.asarray(scaled)), KERNELS[name](scaled), atol=1e-15
    )
