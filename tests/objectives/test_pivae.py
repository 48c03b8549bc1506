"""piVAE, ours and as published: what its features and weights are, and what its loss teaches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from pydantic import TypeAdapter

from priorvae.areas.box import Box
from priorvae.config import (
    CARConfig,
    GPConfig,
    ModelConfig,
    PiVAEConfig,
    TrainingConfig,
    parse_config,
)
from priorvae.decoders import numpy_backend
from priorvae.errors import ConfigError, ProcessError
from priorvae.objectives import build_objective, finished, require_learnable
from priorvae.objectives.functions import FunctionTable, TableModule
from priorvae.objectives.objective import Batch, Finished
from priorvae.objectives.pivae import PiVAE, sines
from priorvae.processes import GP, Gaussian, build_process
from priorvae.processes.cosines import CosineProjection
from priorvae.processes.mixture import mixture_covariance
from priorvae.training import draws_for
from priorvae.training.functions import FunctionDraws
from tests.maps import lattice

PUBLISHED: dict[str, Any] = {
    "type": "piVAE",
    "features": {"kind": "network", "number": 7, "centres": 6, "hidden": [5]},
    "weights": {"kind": "table", "functions": 12, "latent_dim": 3, "hidden": [4]},
}
RANDOM = TrainingConfig(draws="random", batch_size=8, conditions_per_step=4)


def a_process(rows: int = 4, columns: int = 5) -> GP:
    lengthscale = {"distribution": "loguniform", "low": 0.3, "high": 1.0, "unit": "extent"}
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=lengthscale)  # type: ignore[arg-type]
    process = build_process(config, lattice(rows, columns))
    assert isinstance(process, GP)
    return process


@pytest.fixture(scope="module")
def process() -> GP:
    return a_process()


@pytest.fixture(scope="module")
def table(process: GP) -> FunctionTable:
    objective = build_objective(PiVAEConfig.model_validate(PUBLISHED), process)
    assert isinstance(objective, FunctionTable)
    return objective


@pytest.fixture(scope="module")
def model(table: FunctionTable) -> TableModule:
    return table.initial(0)


@pytest.fixture(scope="module")
def batch(process: GP, table: FunctionTable) -> Batch:
    return jax.jit(draws_for(table, process, RANDOM, 0).batch)(jax.random.key(0))


def untrained(process: Gaussian, **model: Any) -> Finished:
    config = PiVAEConfig.model_validate({"type": "piVAE", **model})
    objective = build_objective(config, process)
    start = objective.initial(0).decoder.weights
    return finished(objective, {name: np.asarray(v[...]) for name, v in start.items()})


def covariance(found: Finished, hyper: dict[str, float]) -> np.ndarray:
    matrix = numpy_backend.matrix(found.decoder, found.weights, hyper)
    return matrix @ matrix.T


def error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


# -- from the process itself ---------------------------------------------------------------------


@pytest.mark.parametrize("areas", [(4, 5), (1, 9), (9, 1)], ids=["plane", "east", "north"])
def test_the_layers_of_the_features_are_the_cosines(areas: tuple[int, int]) -> None:
    process = a_process(*areas)
    box = Box.around(process.areas, 0.1)
    projection = CosineProjection.build(process, box, 12)
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(4, 12))
    places = rng.uniform(box.low, box.high, (20, 2))
    found = sines(projection, mixed).at(places, [""] * 20)
    np.testing.assert_allclose(found, projection.features(places) @ mixed.T, atol=1e-12)


@pytest.mark.parametrize("areas", [(4, 5), (1, 9)], ids=["plane", "line"])
def test_it_starts_as_the_process(areas: tuple[int, int]) -> None:
    process = a_process(*areas)
    found = untrained(process)
    assert found.decoder.is_linear and found.decoder.conditions == process.conditions
    for value in process.conditions[0].grid(5):
        hyper = {"lengthscale": float(value)}
        # `auto` promises 3 % at the ends; the gated linear map adds less than 1 %.
        assert error(covariance(found, hyper), process.covariance(hyper)) < 0.04


def test_without_conditions_it_starts_as_the_mixture(process: GP) -> None:
    found = untrained(process, conditional=False)
    assert found.decoder.conditions == ()
    assert error(covariance(found, {}), mixture_covariance(process)) < 0.03


def test_training_brings_it_nearer_to_the_root() -> None:
    process = a_process(1, 9)
    weights = {"kind": "root", "hidden": 25, "sweeps": 1}
    config = PiVAEConfig.model_validate({"type": "piVAE", "weights": weights})
    objective = build_objective(config, process)
    assert isinstance(objective, PiVAE)
    draws = draws_for(objective, process, TrainingConfig(), 0)
    model = objective.initial(0)
    batch = jax.jit(draws.batch)(jax.random.key(0))
    assert batch.draws.shape[2] == objective.projection.number
    structure, params = nnx.split(model)

    @jax.jit
    @jax.value_and_grad
    def loss(params: Any) -> jax.Array:
        return objective.loss(nnx.merge(structure, params), batch, jax.random.key(1))[0]

    before, gradient = loss(params)
    after, _ = loss(jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient))
    assert 0 < float(after) < float(before)


# -- as published --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def draws(process: GP) -> FunctionDraws:
    return FunctionDraws.build(process, RANDOM, 4000, seed=1)


def test_a_function_keeps_its_values(draws: FunctionDraws) -> None:
    chosen = jax.jit(draws.batch)
    for seed in range(3):
        batch = chosen(jax.random.key(seed))
        assert batch.functions is not None and len(set(batch.functions.tolist())) == 8
        np.testing.assert_array_equal(batch.draws[:, 0], draws.values[batch.functions])
        np.testing.assert_array_equal(batch.unit, draws.unit[batch.functions])


def test_functions_are_draws_of_the_process(process: GP, draws: FunctionDraws) -> None:
    values = np.asarray(draws.values, dtype=float)
    exact = np.mean(
        [process.covariance({"lengthscale": float(v)}) for v in process.conditions[0].grid(65)],
        axis=0,
    )
    # A covariance has standard error sqrt((k_ii k_jj + k_ij^2) / 4000) <= .023; five of them.
    assert np.abs(values.T @ values / 4000 - exact).max() < 0.115


class Learning(NamedTuple):
    """What the table's objective says of a batch."""

    loss: float
    parts: dict[str, float]
    gradients: Any
    """By part of the loss."""


@pytest.fixture(scope="module")
def learning(table: FunctionTable, model: TableModule, batch: Batch) -> Learning:
    structure, params = nnx.split(model)

    def parts(params: Any) -> Any:
        loss, parts = table.loss(nnx.merge(structure, params), batch, jax.random.key(1))
        return parts, (loss, parts)

    gradients, (loss, values) = jax.jit(jax.jacrev(parts, has_aux=True))(params)
    return Learning(float(loss), {k: float(v) for k, v in values.items()}, gradients)


def test_the_encoder_does_not_move_the_table(learning: Learning) -> None:
    for part, found in learning.gradients.items():
        by_table = part == "table"
        assert found["table"][...].any() == by_table
        assert found["encoder"]["mean"]["kernel"][...].any() != by_table


def test_only_the_rows_of_a_batch_are_fitted_to_it(learning: Learning, batch: Batch) -> None:
    moved = np.asarray(learning.gradients["table"]["table"][...]).any(axis=1)
    assert batch.functions is not None
    assert np.flatnonzero(moved).tolist() == sorted(batch.functions.tolist())


def test_the_parts_of_the_loss_by_hand(
    process: GP, table: FunctionTable, model: TableModule, batch: Batch, learning: Learning
) -> None:
    centroids = process.areas.centroids
    assert centroids is not None and batch.functions is not None
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    found = table.finish(weights)
    assert found.features is not None
    features = found.features.at(centroids, process.areas.ids)
    rows = np.asarray(model.table[...], dtype=float)[np.asarray(batch.functions)]
    squares = [
        np.mean((np.asarray(y[0]) - features @ row) ** 2)
        for y, row in zip(batch.draws, rows, strict=True)
    ]
    # Over 2 s^2, which is 1 for the published s^2 = 1/2.
    assert learning.parts["table"] == pytest.approx(np.mean(squares), rel=1e-5)
    assert learning.loss == pytest.approx(sum(learning.parts.values()), rel=1e-6)


def test_the_bias_is_a_weight_like_the_others(
    process: GP, table: FunctionTable, model: TableModule
) -> None:
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    found = table.finish(weights)
    assert found.features is not None and found.features.width == 8
    there = found.features.at(np.array([[1.0, 2.0], [30.0, 20.0]]), ("a", "b"))
    np.testing.assert_array_equal(there[:, -1], 1.0)
    # The decoder at the areas is the module's own.
    z = np.random.default_rng(0).normal(size=3)
    decoded = model.decoder(jnp.asarray(z, jnp.float32), jnp.asarray([0.2], jnp.float32))
    places = jnp.asarray(table.box.unit(process.areas.centroids), jnp.float32)  # type: ignore[arg-type]
    expected = model.decoder.features(places) @ decoded
    hyper = {"lengthscale": float(process.conditions[0].from_unit(0.2))}
    got = numpy_backend.decode(found.decoder, found.weights, z, hyper)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


# -- what is refused -----------------------------------------------------------------------------


def test_features_and_weights_go_together() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ModelConfig)
    with pytest.raises(ValueError, match="features of kind network go with"):
        adapter.validate_python({"type": "piVAE", "features": {"kind": "network"}})
    with pytest.raises(ValueError, match="features of kind cosine go with"):
        adapter.validate_python({"type": "piVAE", "weights": {"kind": "table"}})


def test_a_table_needs_random_draws() -> None:
    raw = {
        "name": "x",
        "seed": 1,
        "areas": {"source": "grid:9"},
        "process": {
            "kind": "gp",
            "kernel": "rbf",
            "lengthscale": {"distribution": "constant", "value": 2.0, "unit": "km"},
        },
        "model": PUBLISHED,
    }
    with pytest.raises(ConfigError, match=r"training\.draws: a table of weights is fitted to"):
        parse_config(raw, "x.yaml")


def test_a_process_on_areas_alone_is_refused_before_a_run_starts() -> None:
    alpha = {"distribution": "uniform", "low": 0, "high": 0.9}
    car = build_process(CARConfig(kind="car", alpha=alpha), lattice(3, 4))  # type: ignore[arg-type]
    with pytest.raises(ProcessError, match="a piVAE needs a prior at every place"):
        require_learnable(PiVAEConfig(type="piVAE"), TrainingConfig(), car)
