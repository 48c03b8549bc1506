"""Paired regression on a root: against the error it stands for, and where it leads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pydantic import TypeAdapter

from priorvae.config import GPConfig, ModelConfig, RegressionConfig, TrainingConfig
from priorvae.decoders import numpy_backend
from priorvae.objectives import build_objective
from priorvae.objectives.axes import latent_axes
from priorvae.processes import Gaussian, build_process
from priorvae.processes.base import require_gaussian
from priorvae.training import build_draws
from tests.maps import lattice

COLUMNS = TrainingConfig(conditions_per_step=2)
RANDOM = TrainingConfig(draws="random", batch_size=4000, conditions_per_step=2)


@pytest.fixture(scope="module")
def process() -> Gaussian:
    lengthscale = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=lengthscale)  # type: ignore[arg-type]
    return require_gaussian(build_process(config, lattice(4, 5)), "this test")


def relative_error(process: Gaussian, matrix: np.ndarray, unit: float) -> float:
    root = process.root({"lengthscale": float(process.conditions[0].from_unit(unit))})
    return float(np.linalg.norm(matrix - root) / np.linalg.norm(root))


def test_the_loss_of_a_linear_decoder_is_its_squared_relative_error(process: Gaussian) -> None:
    objective = build_objective(RegressionConfig(type="GatedLinear", warm_start_sweeps=3), process)
    model = objective.initial(0)
    batch = build_draws(process, COLUMNS, objective.noise).batch(jax.random.key(0))
    loss, figures = objective.loss(model, batch, jax.random.key(1))
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    axes = latent_axes(process)
    np.testing.assert_allclose(axes.T @ axes, np.eye(20), atol=1e-12)
    expected = []
    for unit in np.asarray(batch.unit, dtype=float)[:, 0]:
        hyper = {"lengthscale": float(process.conditions[0].from_unit(unit))}
        matrix = numpy_backend.matrix(objective.decoder, weights, hyper)
        # Its latents lie along axes: it learns the root R Q.
        expected.append(relative_error(process, matrix @ axes.T, unit) ** 2)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-3)
    assert float(figures["relative_error"]) == pytest.approx(np.mean(expected) ** 0.5, rel=1e-3)


def test_random_draws_come_with_their_normals(process: Gaussian) -> None:
    batch = build_draws(process, RANDOM, 0.0).batch(jax.random.key(0))
    assert batch.latents is not None
    for unit, draws, z in zip(batch.unit, batch.draws, batch.latents, strict=True):
        hyper = {"lengthscale": float(process.conditions[0].from_unit(float(unit[0])))}
        np.testing.assert_allclose(draws, z @ process.root(hyper).T, atol=2e-4)


def test_a_network_starts_as_the_gated_linear_map_beside_it(process: Gaussian) -> None:
    config = RegressionConfig(
        type="DeepRV", structure="film-mlp", hidden=(16,), warm_start_sweeps=100
    )
    objective = build_objective(config, process)
    assert not objective.decoder.is_linear
    model = objective.initial(0)
    unit = jnp.full((1,), 0.3, jnp.float32)
    matrix = np.asarray(model.decoder(jnp.eye(20, dtype=jnp.float32), unit)).T
    assert relative_error(process, matrix @ latent_axes(process).T, 0.3) < 0.05
    # The network beside it is there to be learnt: its gradient is not zero.
    batch = build_draws(process, RANDOM, 0.0).batch(jax.random.key(0))
    kernel = "layers.0.2.3.kernel"

    start = model.decoder.weights[kernel][...]
    assert not start.any()
    gradient = nnx.grad(lambda m: objective.loss(m, batch, jax.random.key(0))[0])(model)
    assert float(jnp.abs(gradient["decoder"]["weights"][kernel][...]).max()) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "GatedLinear", "structure": "mlp"}, "use DeepRV for mlp"),
        ({"type": "DeepRV", "latent_dim": 5}, "learns a whole root"),
        ({"type": "PriorVAE", "structure": "film-mlp", "encoder": "diagonal"}, "modulated"),
        ({"type": "PriorCVAE", "structure": "film-mlp"}, "needs `encoder: diagonal`"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TypeAdapter(ModelConfig).validate_python({"warm_start": "none", **changes})
