import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tinygp
from sklearn.gaussian_process import kernels as sklearn_kernels

from priorvae.errors import ProcessError
from priorvae.processes.kernels import (
    KERNELS,
    Separation,
    kernel_names,
    stretched,
    unit_covariance,
)

POINTS = np.random.default_rng(0).normal(size=(20, 2))
SHAPE, PERIOD = 0.7, 1.3
ORACLES = {
    "rbf": lambda scale: sklearn_kernels.RBF(scale)(POINTS),
    "matern12": lambda scale: sklearn_kernels.Matern(scale, nu=0.5)(POINTS),
    "matern32": lambda scale: sklearn_kernels.Matern(scale, nu=1.5)(POINTS),
    "matern52": lambda scale: sklearn_kernels.Matern(scale, nu=2.5)(POINTS),
    "rational-quadratic": lambda scale: sklearn_kernels.RationalQuadratic(scale, SHAPE)(POINTS),
    # Its one-dimensional kernel in each coordinate: in the plane their product is what is valid.
    "periodic": lambda scale: np.prod(
        [sklearn_kernels.ExpSineSquared(scale, PERIOD)(POINTS[:, [k]]) for k in (0, 1)], axis=0
    ),
}


def apart(points: np.ndarray) -> Separation:
    difference = np.moveaxis(points[:, None] - points[None], -1, 0)
    distance = np.linalg.norm(difference, axis=0)
    direction = difference / (distance + np.eye(len(points)))
    direction[0] += np.eye(len(points))
    return Separation(distance, direction)


def hyper(scale: float) -> dict[str, float]:
    return {"lengthscale": scale, "shape": SHAPE, "period": PERIOD}


def test_every_kernel_has_an_oracle() -> None:
    assert set(ORACLES) == set(KERNELS)


@pytest.mark.parametrize("name", sorted(KERNELS))
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_agrees_with_scikit_learn(name: str, scale: float) -> None:
    ours = KERNELS[name](apart(POINTS), hyper(scale))
    np.testing.assert_allclose(ours, ORACLES[name](scale), atol=1e-13)


@pytest.mark.parametrize("name", ["rational-quadratic", "periodic"])
def test_agrees_with_tinygp(name: str) -> None:
    # tinygp scales r^2 by 2 alpha as we do; its periodic kernel has exp(-gamma sin^2).
    line = np.stack([POINTS[:, 0], np.zeros(20)], axis=1)
    scale = 0.8
    oracle = {
        "rational-quadratic": tinygp.kernels.RationalQuadratic(scale=scale, alpha=SHAPE),
        "periodic": tinygp.kernels.ExpSineSquared(scale=PERIOD, gamma=2 / scale**2),
    }[name]
    ours = KERNELS[name](apart(line), hyper(scale))
    np.testing.assert_allclose(ours, oracle(line[:, 0], line[:, 0]), atol=1e-12)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_jax_and_numpy_are_one(name: str) -> None:
    here = apart(POINTS)
    there = Separation(jnp.asarray(here.distance), jnp.asarray(here.direction))
    ours = KERNELS[name](there, hyper(0.5))
    np.testing.assert_allclose(ours, KERNELS[name](here, hyper(0.5)), atol=1e-14)


@pytest.mark.parametrize("sign", ["+", "*"])
def test_sums_and_products_agree_with_scikit_learn(sign: str) -> None:
    values = {"lengthscale_1": 0.4, "lengthscale_2": 1.5, "shape_2": SHAPE}
    values |= {"weight_1": 3.0, "weight_2": 1.0}
    ours = unit_covariance(f"matern32{sign}rational-quadratic", apart(POINTS), values)
    first = sklearn_kernels.Matern(0.4, nu=1.5)
    second = sklearn_kernels.RationalQuadratic(1.5, SHAPE)
    oracle = first * second if sign == "*" else 0.75 * first + 0.25 * second
    np.testing.assert_allclose(ours, oracle(POINTS), atol=1e-13)
    np.testing.assert_allclose(np.diag(ours), 1.0, atol=1e-15)


def test_anisotropy_is_a_linear_map_of_the_coordinates() -> None:
    """The angle is a bearing: 30 degrees clockwise from north, 60 anticlockwise from east."""
    ratio, along = 3.0, np.array([0.5, 3**0.5 / 2])
    across = np.array([along[1], -along[0]])
    mapped = POINTS @ np.stack([along, ratio * across], axis=1)
    turned = stretched(apart(POINTS), ratio, 30.0)
    np.testing.assert_allclose(turned.distance, apart(mapped).distance, atol=1e-13)
    for name in KERNELS:
        ours = KERNELS[name](turned, hyper(0.8))
        np.testing.assert_allclose(ours, KERNELS[name](apart(mapped), hyper(0.8)), atol=1e-13)


def test_anisotropy_has_finite_gradients() -> None:
    here = Separation(*(jnp.asarray(part) for part in apart(POINTS)))

    def total(ratio: jax.Array, angle: jax.Array) -> jax.Array:
        return KERNELS["matern12"](stretched(here, ratio, angle), {"lengthscale": 1.0}).sum()

    step, at = 1e-5, (1.0, 20.0)
    slopes = jax.grad(total, argnums=(0, 1))(*at)
    for slope, (dr, da) in zip(slopes, ((step, 0), (0, step)), strict=True):
        up, down = total(at[0] + dr, at[1] + da), total(at[0] - dr, at[1] - da)
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6, atol=1e-6)


def test_periodic_kernel_of_euclidean_distance_is_not_valid_in_the_plane() -> None:
    """Why it is a product over coordinates."""
    points = np.random.default_rng(1).uniform(0, 3, size=(150, 2))
    naive = sklearn_kernels.ExpSineSquared(1.0, 1.0)(points)
    ours = KERNELS["periodic"](apart(points), {"lengthscale": 1.0, "period": 1.0})
    assert np.linalg.eigvalsh(naive)[0] < -1e-2
    assert np.linalg.eigvalsh(ours)[0] > -1e-12


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(ProcessError, match=r"unknown kernel 'matern23' .did you mean 'matern"):
        kernel_names("rbf+matern23")
    with pytest.raises(ProcessError, match=r"a sum .*, a product .* or a choice .*, got several"):
        kernel_names("rbf+rbf*matern32")
