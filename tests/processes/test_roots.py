"""Interpolated roots over several conditions: no degree higher than its own axis needs."""

from typing import Any

import jax
import numpy as np
import pytest

from priorvae.config import GPConfig, TrainingConfig, VAEConfig
from priorvae.decoders import numpy_backend
from priorvae.errors import ProcessError
from priorvae.objectives import build_objective, reference_decoder
from priorvae.processes import Condition, Gaussian, InterpolatedRoot, build_process
from priorvae.processes.conditions import unit_vector
from priorvae.processes.roots import symmetric_root
from priorvae.training.draws import RootDraws
from tests.maps import lattice


def free(low: float, high: float, unit: str = "") -> dict[str, Any]:
    return {"distribution": "loguniform", "low": low, "high": high, "unit": unit}


@pytest.fixture(scope="module")
def process() -> Gaussian:
    config = GPConfig(
        kind="gp",
        kernel="rational-quadratic",
        lengthscale=free(0.05, 1.0, "extent"),  # type: ignore[arg-type]
        shape=free(0.2, 5.0),  # type: ignore[arg-type]
    )
    return build_process(config, lattice(4, 5))


def anywhere(process: Gaussian, num: int) -> list[dict[str, float]]:
    units = np.random.default_rng(0).uniform(-1, 1, (num, len(process.conditions)))
    return [
        {c.name: float(c.from_unit(u)) for c, u in zip(process.conditions, unit, strict=True)}
        for unit in units
    ]


def test_each_axis_has_its_own_degree(process: Gaussian) -> None:
    root = InterpolatedRoot.fit(process.root, process.conditions)
    assert root.error <= 1e-6
    assert root.degrees[1] < root.degrees[0]
    assert len(root.matrices) <= 60
    for hyper in anywhere(process, 30):
        expected = process.root(hyper)
        fitted = root(unit_vector(process.conditions, hyper, np))
        assert np.linalg.norm(fitted - expected) / np.linalg.norm(expected) < 2e-6


def test_reference_decoder_is_the_process(process: Gaussian) -> None:
    decoder, weights = reference_decoder(process)
    for hyper in anywhere(process, 10):
        matrix = numpy_backend.matrix(decoder, weights, hyper)
        np.testing.assert_allclose(matrix @ matrix.T, process.covariance(hyper), atol=1e-5)


def test_training_draws_and_the_warm_start_take_two_conditions(process: Gaussian) -> None:
    noise = 1e-3
    draws = RootDraws.build(process, TrainingConfig(), noise).batch(jax.random.key(0))
    assert draws.unit.shape == (16, 2)
    for unit, fields in zip(np.asarray(draws.unit), np.asarray(draws.draws), strict=True):
        pairs = zip(process.conditions, unit, strict=True)
        exact = process.covariance({c.name: float(c.from_unit(u)) for c, u in pairs})
        moment = fields.T @ fields / len(fields)
        np.testing.assert_allclose(moment, exact + noise * np.eye(20), atol=1e-4)
    objective = build_objective(VAEConfig(type="PriorCVAE", warm_start_sweeps=300), process)
    weights = objective.start(0)
    assert weights is not None
    for hyper in anywhere(process, 10):
        matrix = numpy_backend.matrix(objective.decoder, weights, hyper)
        exact = process.covariance(hyper)
        assert np.linalg.norm(matrix @ matrix.T - exact) / np.linalg.norm(exact) < 0.03


def test_what_cannot_be_interpolated_is_refused() -> None:
    """Fifty waves over the range of one condition."""
    fast = Condition("period", "km", 1.0, 100.0, "log", "loguniform")

    def root(hyper: dict[str, float]) -> np.ndarray:
        wave = 0.9 * np.sin(300 / hyper["period"])
        return symmetric_root(np.array([[1.0, wave], [wave, 1.0]]))

    with pytest.raises(ProcessError, match=r"changes too fast over period in \[1, 100\]"):
        InterpolatedRoot.fit(root, (fast,))


def test_what_does_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("priorvae.processes.roots._MOST_BYTES", 1e5)
    conditions = tuple(Condition(n, "", 1.0, 2.0, "log", "loguniform") for n in ("a", "b"))

    def root(hyper: dict[str, float]) -> np.ndarray:
        return np.eye(30) * hyper["a"] ** 0.5 * hyper["b"] ** 0.5

    with pytest.raises(ProcessError, match=r"nodes over a, b, .* hold a hyperparameter constant"):
        InterpolatedRoot.fit(root, conditions)
