"""The bounds and the discrepancy against exact likelihoods, double loops and expectations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from priorvae.config import GPConfig, VAEConfig, parse_config
from priorvae.decoders import numpy_backend
from priorvae.errors import ConfigError
from priorvae.objectives import VAE, build_objective
from priorvae.objectives.bounds import ELBO, MMD, AutoEncoder, Bound, Renyi, squared_mmd
from priorvae.objectives.encoders import DiagonalNormal
from priorvae.processes import Gaussian, build_process
from tests.maps import lattice

UNIT = jnp.full((1, 1), 0.2, jnp.float32)
KEY = jax.random.key(3)
LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
ROUGH = {"type": "PriorCVAE", "likelihood_variance": 0.3, "warm_start_sweeps": 20}
DIAGONAL = {"encoder": "diagonal", "hidden": 5, "activation": "tanh"}


@pytest.fixture(scope="module")
def process() -> Gaussian:
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=LENGTHSCALE)  # type: ignore[arg-type]
    return build_process(config, lattice(2, 3))


def prepared(process: Gaussian, **changes: Any) -> tuple[VAE, AutoEncoder]:
    objective = build_objective(VAEConfig.model_validate(ROUGH | changes), process)
    return objective, objective.initial(0)


def matrix(objective: VAE, model: AutoEncoder, process: Gaussian) -> np.ndarray:
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    hyper = {"lengthscale": float(process.conditions[0].from_unit(0.2))}
    return numpy_backend.matrix(objective.decoder, weights, hyper)


def fields(num: int = 4) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(1, num, 6)), jnp.float32)


def parts(
    bound: Bound, prepared: tuple[VAE, AutoEncoder], draws: jax.Array, key: jax.Array = KEY
) -> dict[str, float]:
    objective, model = prepared
    compiled = jax.jit(lambda y, k: bound.parts(model, UNIT, y, k, objective.variance))
    return {name: float(value) for name, value in compiled(draws, key).items()}


def log_marginal(objective: VAE, model: AutoEncoder, process: Gaussian, y: jax.Array) -> float:
    """Exact mean of `log N(y; 0, AA' + s^2 I)`, without the likelihood's constant."""
    a = matrix(objective, model, process)
    implied = a @ a.T + objective.variance * np.eye(6)
    log_density = multivariate_normal(cov=implied).logpdf(np.asarray(y[0], float))
    return float(np.mean(log_density) + 3 * np.log(2 * np.pi * objective.variance))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_with_the_exact_posterior_every_order_is_the_likelihood(
    process: Gaussian, alpha: float
) -> None:
    """All weights are then equal, whatever the samples."""
    pair = prepared(process)
    exact = log_marginal(*pair, process, fields())
    assert -parts(Renyi(alpha, 3), pair, fields())["renyi"] == pytest.approx(exact, rel=1e-4)


def test_order_nought_with_many_samples_is_the_likelihood(process: Gaussian) -> None:
    """An encoder that is off by a fifth, 20,000 samples, 4.5 standard errors.

    The standard error of the log of a mean of weights is their relative spread over the root of
    their number.
    """
    objective, model = prepared(process)
    for weight in model.encoder.network.weights.values():
        weight[...] = 0.9 * weight[...]
    y, samples = fields(2), 20_000
    latents, log_weights = model.encoder(y[0], UNIT[0]).weighted(jax.random.key(9), samples)
    errors = jnp.sum((y[0] - model.decoder(latents, UNIT[0])) ** 2, axis=-1)
    weights = np.exp(np.asarray(log_weights - errors / (2 * objective.variance), float))
    spread = weights.std(axis=0) / weights.mean(axis=0) / np.sqrt(samples)
    error = 4.5 * np.sqrt(np.sum(spread**2)) / 2
    exact = log_marginal(objective, model, process, y)
    pair = (objective, model)
    assert abs(-parts(Renyi(0.0, samples), pair, y)["renyi"] - exact) < error
    # The lower bound of the same encoder lies below, further than that.
    assert -sum(parts(ELBO(), pair, y).values()) < exact - 2 * error


def test_order_one_is_the_evidence_lower_bound(process: Gaussian) -> None:
    """Against the closed form, 4.5 standard errors of 20 means of 500; and no jump at 1."""
    pair = prepared(process)
    for weight in pair[1].encoder.network.weights.values():
        weight[...] = 0.9 * weight[...]
    y, keys = fields(2), jax.random.split(KEY, 20)
    objective, model = pair
    bound = Renyi(1.0, 500)
    compiled = jax.jit(lambda k: bound.parts(model, UNIT, y, k, objective.variance)["renyi"])
    values = np.array([float(compiled(key)) for key in keys])
    closed = sum(parts(ELBO(), pair, y).values())
    assert abs(values.mean() - closed) < 4.5 * values.std(ddof=1) / np.sqrt(20)
    beside = parts(Renyi(1.0 - 1e-3, 500), pair, y, keys[0])["renyi"]
    assert beside == pytest.approx(values[0], rel=1e-2)


def test_weights_are_ratios_of_normal_densities() -> None:
    mean, log_sd = np.array([[0.3, -0.2]]), np.array([[-0.5, 0.4]])
    posterior = DiagonalNormal(jnp.asarray(mean), jnp.asarray(log_sd))
    latents, log_weights = posterior.weighted(KEY, 5)
    q = multivariate_normal(mean[0], np.diag(np.exp(2 * log_sd[0])))
    p = multivariate_normal(np.zeros(2))
    z = np.asarray(latents[:, 0])
    np.testing.assert_allclose(log_weights[:, 0], p.logpdf(z) - q.logpdf(z), rtol=1e-5)


def double_loop(x: np.ndarray, y: np.ndarray, lengthscale: float, near: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / (2 * lengthscale**2)))

    total, num = 0.0, len(x)
    for i in range(num):
        for j in range(num):
            if i != j:
                both = k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
                total += near[i, j] * both
    return total / (num * (num - 1))


def test_the_discrepancy_is_its_double_loop() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 9, 4))
    near = rng.uniform(size=(9, 9))
    near = near + near.T
    for kernel, given in ((np.ones((9, 9)), None), (near, jnp.asarray(near))):
        found = squared_mmd(jnp.asarray(x), jnp.asarray(y), 1.7, given)
        assert float(found) == pytest.approx(double_loop(x, y, 1.7, kernel), rel=1e-9)


def test_the_discrepancy_of_normals_has_its_known_mean() -> None:
    """`E k(a, b) = |I + Cov(a - b) / l^2|^-1/2` for normals; 4.5 standard errors of 300 values."""
    first, second, square = np.diag([1.0, 2.0, 0.5]), np.eye(3) * 0.3, 2.0**2

    def mean_kernel(covariance: np.ndarray) -> float:
        return float(np.linalg.det(np.eye(3) + covariance / square) ** -0.5)

    exact = (
        mean_kernel(2 * first) + mean_kernel(2 * second) - 2 * mean_kernel(first + second)
    )  # the squared discrepancy itself
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 40, 3)) @ np.sqrt(first)
    y = rng.normal(size=(300, 40, 3)) @ np.sqrt(second)
    values = jax.vmap(lambda a, b: squared_mmd(a, b, 2.0))(jnp.asarray(x), jnp.asarray(y))
    error = float(jnp.std(values)) / np.sqrt(300)
    assert exact > 20 * error
    assert abs(float(jnp.mean(values)) - exact) < 4.5 * error


def mmd(**changes: Any) -> MMD:
    base: dict[str, Any] = {
        "lengthscale": 3.0, "against": "prior", "condition_lengthscale": None,
        "mmd_weight": 1.0, "reconstruction_weight": 1.0, "kl_weight": 1.0,
    }  # fmt: skip
    return MMD(**(base | changes))


def test_weights_multiply_the_parts(process: Gaussian) -> None:
    pair = prepared(process)
    plain = parts(mmd(), pair, fields())
    factors = {"mmd": 3.0, "reconstruction": 0.5, "kl": 0.0}
    weights = {f"{name}_weight": factor for name, factor in factors.items()}
    weighed = parts(mmd(**weights), pair, fields())
    for name, factor in factors.items():
        assert weighed[name] == pytest.approx(factor * plain[name])


def test_only_a_kernel_of_conditions_sees_laws_exchanged_between_them(process: Gaussian) -> None:
    """Draws of either theta under the other's: pooled nothing shows; given theta it does.

    Means of 40 values; 4.5 standard errors either way.
    """
    config = {**ROUGH, "likelihood_variance": 0.01, "warm_start_sweeps": 200}
    objective = build_objective(VAEConfig.model_validate(config), process)
    model = objective.initial(0)
    unit = jnp.array([[-1.0], [1.0]], jnp.float32)
    ends = [process.covariance({"lengthscale": float(v)}) for v in process.conditions[0].grid(2)]
    roots = jnp.asarray(np.stack([np.linalg.cholesky(k) for k in ends[::-1]]), jnp.float32)

    @jax.jit
    def values(key: jax.Array) -> jax.Array:
        z = jax.random.normal(key, (2, 40, 6), jnp.float32)
        draws = jnp.einsum("gij,gdj->gdi", roots, z)
        bounds = (mmd(), mmd(condition_lengthscale=0.5))
        return jnp.stack(
            [b.parts(model, unit, draws, key, objective.variance)["mmd"] for b in bounds]
        )

    found = np.stack([values(key) for key in jax.random.split(KEY, 40)])
    means, errors = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(40)
    assert abs(means[0]) < 4.5 * errors[0]
    assert means[1] > 4.5 * errors[1]


def test_the_bound_of_a_configuration_is_the_objectives(process: Gaussian) -> None:
    renyi, _ = prepared(process, bound={"kind": "renyi", "alpha": 0.2, "samples": 5})
    assert renyi.bound == Renyi(0.2, 5)
    found, _ = prepared(process, bound={"kind": "mmd", "against": "prior"})
    assert isinstance(found.bound, MMD)
    # Unit variances, and noise of 0.3 of them.
    assert found.bound.lengthscale == pytest.approx(np.sqrt(2 * 6 * 1.3), rel=1e-4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"bound": {"kind": "renyi", "alpha": -1}}, r"model.bound.alpha: .*greater than or equal"),
        ({"bound": {"kind": "elbo", "alpha": 1}}, r"model.bound.alpha: unknown key"),
        ({"bound": {"kind": "renyl"}}, r"model.bound.kind|model.bound: expected one of"),
        ({"bound": {"kind": "renyi"}}, r"training.draws: a bound of kind renyi depends on more"),
        ({"conditional": False}, r"`conditional` is for an aggVAE"),
        ({"type": "aggVAE"}, r"`process.kind` must be `aggregated` \(got 'gp'\)"),
    ],
)
def test_what_does_not_fit_is_refused(model: dict[str, Any], message: str) -> None:
    raw = {
        "name": "test", "seed": 1, "areas": {"source": "grid:3x4"},
        "process": {"kind": "gp", "kernel": "rbf", "lengthscale": LENGTHSCALE},
        "model": {"type": "PriorCVAE", **model},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        parse_config(raw, "test.yaml")
