"""The bound against linear-Gaussian theory, where it is known exactly."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.config import GPConfig, VAEConfig
from priorvae.decoders import numpy_backend
from priorvae.objectives import Batch, build_objective, reference_decoder
from priorvae.objectives.encoders import DiagonalNormal, FullEncoder, FullNormal
from priorvae.processes import Gaussian, build_process, symmetric_root
from priorvae.processes.mixture import mixture_covariance
from tests.maps import lattice


@pytest.fixture(scope="module")
def process() -> Gaussian:
    lengthscale = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=lengthscale)  # type: ignore[arg-type]
    return build_process(config, lattice(4, 5))


def columns(covariance: np.ndarray, unit: float) -> Batch:
    """A batch whose second moment is the covariance exactly."""
    draws = np.sqrt(len(covariance)) * symmetric_root(covariance)
    return Batch(jnp.full((1, 1), unit, jnp.float32), jnp.asarray(draws[None], jnp.float32))


def test_warm_start_is_the_process(process: Gaussian) -> None:
    objective = build_objective(VAEConfig(type="PriorCVAE", warm_start_sweeps=300), process)
    weights = objective.start(0)
    assert weights is not None
    for value in process.conditions[0].grid(7):
        hyper = {"lengthscale": float(value)}
        root = numpy_backend.matrix(objective.decoder, weights, hyper)
        exact = process.covariance(hyper)
        assert np.linalg.norm(root @ root.T - exact) / np.linalg.norm(exact) < 0.01


def test_full_encoder_is_the_exact_posterior(process: Gaussian) -> None:
    """`q(z | y)` is `N(S A'y / s^2, S)` with `S = (I + A'A / s^2)^-1` for `y ~ N(A z, s^2 I)`."""
    objective = build_objective(VAEConfig(type="PriorCVAE"), process)
    model = objective.initial(0)
    assert isinstance(model.encoder, FullEncoder)
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    hyper = {"lengthscale": float(process.conditions[0].from_unit(0.2))}
    a = numpy_backend.matrix(objective.decoder, weights, hyper)
    y = np.random.default_rng(0).normal(size=(3, 20))
    covariance = np.linalg.inv(np.eye(20) + a.T @ a / objective.variance)
    posterior = model.encoder(jnp.asarray(y, jnp.float32), jnp.full((1,), 0.2, jnp.float32))
    np.testing.assert_allclose(posterior.root @ posterior.root.T, covariance, atol=2e-5)
    mean = y @ a @ covariance / objective.variance
    np.testing.assert_allclose(posterior.mean, mean, rtol=2e-3, atol=2e-3)


def test_bound_with_the_exact_encoder_is_the_likelihood(process: Gaussian) -> None:
    """Minus the bound is then `-log N(y; 0, AA' + s^2 I)`, averaged over the draws."""
    objective = build_objective(VAEConfig(type="PriorCVAE"), process)
    model = objective.initial(0)
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    hyper = {"lengthscale": float(process.conditions[0].from_unit(-0.3))}
    a = numpy_backend.matrix(objective.decoder, weights, hyper)
    noisy = process.covariance(hyper) + objective.variance * np.eye(20)
    loss, _ = objective.loss(model, columns(noisy, -0.3), jax.random.key(0))
    implied = a @ a.T + objective.variance * np.eye(20)
    trace = np.trace(np.linalg.solve(implied, noisy))
    expected = 0.5 * (trace + np.linalg.slogdet(implied)[1] - 20 * np.log(objective.variance)) / 20
    np.testing.assert_allclose(float(loss), expected, rtol=1e-4)


def test_noisy_draws_make_the_process_the_optimum(process: Gaussian) -> None:
    """The gradient at the symmetric root vanishes with noisy draws, and shrinks without them."""
    config = VAEConfig(type="PriorVAE", likelihood_variance=0.1)
    objective = build_objective(config, process)
    exact = mixture_covariance(process)
    model = objective.initial(0)
    kernel = model.decoder.weights["layers.0.kernel"]
    start = kernel[...]

    def slope(covariance: np.ndarray, step: float = 0.02) -> float:
        """Derivative of the loss as the decoder's weights all shrink by one factor."""
        losses = []
        for factor in (1 + step, 1 - step):
            kernel[...] = start * factor
            losses.append(
                float(objective.loss(model, columns(covariance, 0.0), jax.random.key(0))[0])
            )
        return (losses[0] - losses[1]) / (2 * step)

    noise = objective.variance * np.eye(20)
    assert abs(slope(exact + noise)) < 1e-3
    assert slope(exact) > 0.05


def test_closed_form_is_the_mean_of_the_sampled_one(process: Gaussian) -> None:
    """E_q ||y - Dz||^2 in closed form against 4,000 samples, within 4.5 standard errors."""
    objective = build_objective(VAEConfig(type="PriorCVAE"), process)
    model = objective.initial(0)
    unit = jnp.zeros((1,), jnp.float32)
    y = jnp.asarray(np.random.default_rng(0).normal(size=(1, 20)), jnp.float32)
    posterior = model.encoder(y, unit)
    keys = jax.random.split(jax.random.key(1), 4000)
    z = jax.vmap(posterior.sample)(keys)[:, 0]
    squares = np.sum((np.asarray(y) - np.asarray(model.decoder(z, unit))) ** 2, axis=-1)
    batch = Batch(unit[None], y[None])
    _, parts = objective.loss(model, batch, jax.random.key(0))
    closed = float(parts["reconstruction"]) * 2 * objective.variance * 20
    assert abs(squares.mean() - closed) < 4.5 * squares.std() / np.sqrt(4000) + 1e-5


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_divergence_is_the_analytic_one(kind: str) -> None:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(1, 3))
    if kind == "full":
        root = np.triu(rng.normal(size=(3, 3))) + 2 * np.eye(3)
        covariance = root @ root.T
        value = FullNormal(jnp.asarray(mean), jnp.asarray(root)).kl()
    else:
        log_sd = rng.normal(size=(1, 3))
        covariance = np.diag(np.exp(2 * log_sd[0]))
        value = DiagonalNormal(jnp.asarray(mean), jnp.asarray(log_sd)).kl()
    log_det = np.linalg.slogdet(covariance)[1]
    expected = 0.5 * (np.trace(covariance) + mean[0] @ mean[0] - 3 - log_det)
    np.testing.assert_allclose(float(value), expected, rtol=1e-9)


def test_priorvae_starts_at_the_mixture(process: Gaussian) -> None:
    objective = build_objective(VAEConfig(type="PriorVAE"), process)
    weights = objective.start(0)
    assert weights is not None and objective.decoder.conditions == ()
    root = numpy_backend.matrix(objective.decoder, weights, {})
    np.testing.assert_allclose(root @ root.T, mixture_covariance(process), atol=1e-9)


@pytest.mark.slow
def test_published_structure_trains_through_sampling(process: Gaussian) -> None:
    config = VAEConfig(
        type="PriorCVAE",
        structure="mlp",
        hidden=(16, 12),
        latent_dim=5,
        encoder="diagonal",
        warm_start="none",
        likelihood_variance=1.0,
        noisy_draws=False,
    )
    objective = build_objective(config, process)
    assert [layer.kind for layer in objective.decoder.layers] == [
        "concat-condition", "dense", "activation", "dense", "activation", "dense",
    ]  # fmt: skip
    model = objective.initial(0)
    batch = columns(process.covariance({"lengthscale": 20.0}), 0.0)
    losses = [float(objective.loss(model, batch, jax.random.key(k))[0]) for k in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_reference_is_the_process(process: Gaussian) -> None:
    decoder, weights = reference_decoder(process)
    for value in process.conditions[0].grid(9):
        hyper = {"lengthscale": float(value)}
        root = numpy_backend.matrix(decoder, weights, hyper)
        exact = process.covariance(hyper)
        assert np.linalg.norm(root @ root.T - exact) / np.linalg.norm(exact) < 1e-5


def test_latent_dimension_can_be_smaller(process: Gaussian) -> None:
    objective = build_objective(VAEConfig(type="PriorCVAE", latent_dim=7), process)
    assert objective.decoder.latent_dim == 7
    assert replace(objective).start(0) is not None
