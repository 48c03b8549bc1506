"""The energy score against a double loop and a known mean; where its decoder starts."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import gammaln

from priorvae.config import EngressionConfig, TrainingConfig, parse_config
from priorvae.decoders import numpy_backend
from priorvae.errors import ConfigError, ProcessError
from priorvae.objectives import Batch, build_objective, require_learnable
from priorvae.objectives.engression import energy_distance
from priorvae.objectives.standin import StandIn
from priorvae.processes import Process, build_process
from priorvae.processes.build import read_process
from priorvae.processes.samplers import build_sampler
from tests.maps import lattice
from tests.simulators import LOGNORMAL, SIGMA, W, build

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
GP = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
AMPLITUDE = {"distribution": "uniform", "low": 0.2, "high": 1.0}


@pytest.fixture(scope="module")
def risk() -> Process:
    from priorvae.areas import read_areas

    record = {
        "kind": "aggregated", "of": GP, "cells": 48, "nonlinearity": "exp", "amplitude": AMPLITUDE,
    }  # fmt: skip
    return build_process(read_process(record), read_areas("grid:3x4"))


def config(**changes: Any) -> EngressionConfig:
    return EngressionConfig.model_validate({"type": "Engression", **changes})


def loop(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased energy distance, pair by pair, over the mean distance within `y`."""

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        pairs = [
            float(np.linalg.norm(a[i] - b[j]))
            for i in range(len(a))
            for j in range(len(b))
            if not (same and i == j)
        ]
        return sum(pairs) / len(pairs)

    within = mean(y, y, True)
    return (2 * mean(x, y, False) - mean(x, x, True) - within) / within


def test_the_energy_distance_is_its_double_loop() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 7, 3))
    found = energy_distance(jnp.asarray(x), jnp.asarray(y))
    assert float(found) == pytest.approx(loop(x, y), rel=1e-6)


def test_the_energy_distance_of_normals_has_its_known_mean() -> None:
    """`E|N(0, v I)| = sqrt(2 v) Gamma((d + 1) / 2) / Gamma(d / 2)`; 4.5 standard errors of 300.

    A ratio's own bias, of the variance of the mean distance within, is a hundredth of those.
    """
    dimension, small = 5, 0.25
    unit = float(np.sqrt(2) * np.exp(gammaln((dimension + 1) / 2) - gammaln(dimension / 2)))
    exact = (2 * np.sqrt(1 + small) - np.sqrt(2 * small) - np.sqrt(2)) * unit / (np.sqrt(2) * unit)
    rng = np.random.default_rng(1)
    x = np.sqrt(small) * rng.normal(size=(300, 100, dimension))
    y = rng.normal(size=(300, 100, dimension))
    values = jax.vmap(energy_distance)(jnp.asarray(x), jnp.asarray(y))
    error = float(jnp.std(values)) / np.sqrt(300)
    assert exact > 20 * error
    assert abs(float(jnp.mean(values)) - exact) < 4.5 * error


def test_a_lognormal_stand_in_has_the_moments_of_the_process(risk: Process) -> None:
    """Exactly: `E exp(h_i) = exp(m_i + S_ii / 2)`, covariance `E_i E_j (exp(S_ij) - 1)`."""
    standin = StandIn(risk, "exp", 100)
    assert standin.exact
    hyper = {"lengthscale": 2.0, "amplitude": 0.9}
    mean, covariance = standin.moments(hyper)
    known = risk.moments(hyper)  # type: ignore[attr-defined]
    means = np.exp(mean + np.diag(covariance) / 2)
    np.testing.assert_allclose(means, known.mean, rtol=1e-12)
    bent = np.outer(means, means) * np.expm1(covariance)
    np.testing.assert_allclose(bent, known.covariance, rtol=1e-9)


def test_training_starts_at_the_stand_in_and_stays_positive(risk: Process) -> None:
    """Decoded without its exponential, the decoder has the stand-in's mean and covariance."""
    objective = build_objective(config(output="exp"), risk)
    weights = objective.start(0)  # type: ignore[attr-defined]
    assert weights is not None
    decoder = objective.decoder
    z = np.concatenate([np.eye(12), np.zeros((1, 12))])
    standin = StandIn(risk, "exp", 100)
    for hyper in ({"lengthscale": 1.0, "amplitude": 0.3}, {"lengthscale": 3.5, "amplitude": 1.0}):
        inner = np.log(np.stack([numpy_backend.decode(decoder, weights, row, hyper) for row in z]))
        root = (inner[:-1] - inner[-1]).T
        mean, covariance = standin.moments(hyper)
        np.testing.assert_allclose(inner[-1], mean, atol=2e-3)
        error = np.linalg.norm(root @ root.T - covariance) / np.linalg.norm(covariance)
        assert error < 0.02
    far = numpy_backend.decode(decoder, weights, np.full(12, -6.0), hyper)
    assert (far > 0).all()


@pytest.mark.parametrize("structure", ["gated-linear", "film-mlp"])
def test_moments_of_a_simulator_come_from_its_draws(structure: str, tmp_path: Path) -> None:
    """Its logs are Gaussian, with variances s^2 and covariances s^2 w / (1 + w^2) of neighbours.

    The sample covariance of N draws has a mean square relative Frobenius error of
    `((tr K)^2 / |K|^2 + 1) / N`; half as much again of its root is allowed for.
    """
    process, num = build(tmp_path, LOGNORMAL, lattice(4, 5), w=W, sigma=SIGMA), 2000
    changes = {"output": "exp", "structure": structure, "warm_start_draws": num}
    objective = build_objective(config(**changes), process)
    model = objective.initial(0)
    z = jnp.concatenate([jnp.eye(20), jnp.zeros((1, 20))]).astype(jnp.float32)
    inner = np.log(np.asarray(model.decoder(z, jnp.full((1,), 0.3, jnp.float32)), float))
    root = (inner[:-1] - inner[-1]).T
    w, sigma = float(process.conditions[0].from_unit(0.3)), process.fixed["sigma"]
    exact = sigma**2 * (np.eye(20) + w / (1 + w**2) * (np.eye(20, k=1) + np.eye(20, k=-1)))
    error = np.linalg.norm(root @ root.T - exact) / np.linalg.norm(exact)
    expected = np.sqrt((np.trace(exact) ** 2 / np.sum(exact**2) + 1) / num)
    assert error < 1.5 * expected
    np.testing.assert_allclose(inner[-1], 0.0, atol=4.5 * sigma / np.sqrt(num))


@pytest.mark.slow
def test_the_loss_sees_what_is_wrong_and_its_slope_is_finite(risk: Process) -> None:
    """A decoder whose spread is halved has a larger loss; 4.5 standard errors of 30 batches."""
    objective = build_objective(config(output="exp"), risk)
    model = objective.initial(0)
    hyper = {"lengthscale": 2.0, "amplitude": 0.6}
    unit = jnp.array([[c.to_unit(hyper[c.name]) for c in risk.conditions]], jnp.float32)
    columns = {name: np.full(30 * 60, value) for name, value in hyper.items()}
    draws = build_sampler(risk).sample(jax.random.key(2), columns, 30 * 60).reshape(30, 1, 60, 12)
    loss = jax.jit(lambda y, k: objective.loss(model, Batch(unit, y), k)[0])

    def values(of: Any) -> np.ndarray:
        keys = jax.random.split(jax.random.key(1), 30)
        batches = jnp.asarray(draws, jnp.float32)
        return np.array([float(of(y, k)) for y, k in zip(batches, keys, strict=True)])

    right = values(loss)
    assert abs(right.mean()) < 4.5 * right.std(ddof=1) / np.sqrt(30)
    scale = next(name for name in model.decoder.weights if name.endswith(".scale"))
    model.decoder.weights[scale][...] = 0.5 * model.decoder.weights[scale][...]
    wrong = values(jax.jit(lambda y, k: objective.loss(model, Batch(unit, y), k)[0]))
    assert wrong.mean() > right.mean() + 4.5 * wrong.std(ddof=1) / np.sqrt(30)
    batch = Batch(unit, jnp.asarray(draws[0], jnp.float32))
    gradient = nnx.grad(lambda m: objective.loss(m, batch, jax.random.key(0))[0])(model)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_what_cannot_be_is_refused(tmp_path: Path, risk: Process) -> None:
    gaussian = build_process(read_process(GP), lattice(3, 4))
    with pytest.raises(ProcessError, match="a Gaussian process takes every value"):
        build_objective(config(output="exp"), gaussian)
    text = """
        import jax
        def draw(key, hyper):
            return jax.random.normal(key, (12,))
    """
    objective = build_objective(config(output="exp"), build(tmp_path, text, lattice(3, 4)))
    with pytest.raises(ProcessError, match=r"output exp is for values above 0, and a000"):
        objective.initial(0)
    with pytest.raises(ConfigError, match=r"training.draws: must be `random`"):
        require_learnable(config(), TrainingConfig(), risk)
    raw = {
        "name": "test", "seed": 1, "areas": {"source": "grid:3x4"}, "process": GP,
        "model": {"type": "Engression"},
    }  # fmt: skip
    with pytest.raises(ConfigError, match="an Engression compares distributions"):
        parse_config(raw, "test.yaml")
    raw["model"] = {"type": "Engression", "structure": "mlp", "warm_start": "none"}
    with pytest.raises(ConfigError, match="an Engression has `structure: gated-linear`"):
        parse_config(raw, "test.yaml")
