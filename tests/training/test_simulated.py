"""Training on a process known by its draws alone, compiled or called."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from priorvae.config import TrainingConfig, VAEConfig
from priorvae.errors import ProcessError
from priorvae.objectives import VAE, build_objective
from priorvae.processes.function import FunctionProcess
from priorvae.training import DrawSource, build_draws, train
from priorvae.training.simulated import CalledDraws, CompiledDraws
from tests.maps import lattice
from tests.simulators import (
    BETA_BINOMIAL,
    LOGNORMAL,
    SIGMA,
    A,
    W,
    beta_binomial_moments,
    build,
    lognormal_moments,
)

MODEL = VAEConfig(
    type="PriorCVAE", structure="mlp", hidden=8, latent_dim=4, encoder="diagonal",
    warm_start="none", likelihood_variance=0.1,
)  # fmt: skip
KINDS = ("compiled", "called")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FunctionProcess]:
    areas, folder = lattice(4, 5), tmp_path_factory.mktemp("simulators")
    return {
        "compiled": build(folder, LOGNORMAL, areas, w=W, sigma=SIGMA),
        "called": build(folder, BETA_BINOMIAL, areas, a=A),
    }


def settings(**changes: object) -> TrainingConfig:
    base: dict[str, object] = {
        "draws": "random", "batch_size": 16, "conditions_per_step": 4, "steps": 8,
        "warmup_steps": 2, "log_every": 2, "checkpoint_every": 4, "learning_rate": 1e-3,
    }  # fmt: skip
    return TrainingConfig.model_validate(base | changes)


def prepare(process: FunctionProcess, config: TrainingConfig) -> tuple[VAE, DrawSource]:
    objective = build_objective(MODEL, process)
    return objective, build_draws(process, config, objective.variance)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_have_the_law_of_their_hyperparameters(
    kind: str, processes: dict[str, FunctionProcess]
) -> None:
    """Means of 2 groups of fields, and their total variance: 4.5 standard errors."""
    process, each, noise = processes[kind], 1500, 0.04
    config = settings(batch_size=2 * each, conditions_per_step=2)
    source = build_draws(process, config, noise)
    assert isinstance(source, CompiledDraws if kind == "compiled" else CalledDraws)
    assert source.batch_size == 2 * each
    batch = source.batch(jax.random.key(3))
    assert batch.draws.shape == (2, each, 20) and batch.draws.dtype == np.float32
    (condition,) = process.conditions
    for unit, draws in zip(np.asarray(batch.unit), np.asarray(batch.draws), strict=True):
        value = float(condition.from_unit(unit[0]))
        law = lognormal_moments if kind == "compiled" else beta_binomial_moments
        mean, covariance = law(value)
        sums = draws.astype(float).sum(axis=1)
        total = covariance.sum() + 20 * noise
        assert abs(sums.mean() - mean.sum()) < 4.5 * np.sqrt(total / each)
        squares = (sums - mean.sum()) ** 2
        assert abs(squares.mean() - total) < 4.5 * squares.std() / np.sqrt(each)


def test_conditions_are_stratified(processes: dict[str, FunctionProcess]) -> None:
    source = build_draws(processes["called"], settings(conditions_per_step=8), 0.1)
    for seed in range(3):
        unit = np.asarray(source.batch(jax.random.key(seed)).unit[:, 0], dtype=float)
        assert sorted(np.floor((unit + 1) / 2 * 8)) == list(range(8))


def test_draws_ahead_are_those_of_the_steps(processes: dict[str, FunctionProcess]) -> None:
    keys = jax.random.split(jax.random.key(2), 3)
    assert build_draws(processes["compiled"], settings(), 0.1).ahead(keys) is None
    source = build_draws(processes["called"], settings(), 0.1)
    ahead = source.ahead(keys)
    assert ahead is not None and ahead.draws.shape == (3, 4, 4, 20)
    for index, key in enumerate(keys):
        single = source.batch(key)
        np.testing.assert_array_equal(ahead.unit[index], single.unit)
        np.testing.assert_array_equal(ahead.draws[index], single.draws)


@pytest.mark.slow
def test_resuming_is_bit_equal(processes: dict[str, FunctionProcess], tmp_path: Path) -> None:
    """Stopped after 4 of 8 steps, with metrics logged beyond the checkpoint, and resumed."""
    objective, source = prepare(processes["called"], settings())
    whole = train(objective, source, settings(), 7, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(entry: dict[str, float]) -> None:
        if entry["step"] == 6:
            raise KilledError

    with pytest.raises(KilledError):
        train(objective, source, settings(), 7, tmp_path / "parts", kill)
    resumed = train(objective, source, settings(), 7, tmp_path / "parts")
    for name, value in whole.weights.items():
        assert value.tobytes() == resumed.weights[name].tobytes(), name
    losses = [
        [(e["step"], e["loss"]) for e in map(json.loads, path.read_text().splitlines())]
        for path in sorted(tmp_path.glob("*/metrics.jsonl"))
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_draw_that_is_not_finite_stops_training_and_is_explained(
    kind: str, tmp_path: Path
) -> None:
    """Between 0.7 and 0.8, which the ends and the middle of the range do not see."""
    host = "w = float(hyper['w'])" if kind == "called" else "w = hyper['w']"
    text = f"""
        import jax
        import jax.numpy as jnp
        def draw(key, hyper):
            {host}
            bad = jnp.where((w > 0.7) & (w < 0.8), jnp.nan, 0.0)
            return jax.random.normal(key, (12,)).at[5].add(bad)
    """
    process = build(tmp_path, text, lattice(3, 4), w=W)
    config = settings(batch_size=10, conditions_per_step=10)
    objective, source = prepare(process, config)
    with pytest.raises(ProcessError, match=r"gave nan for a005, with w = 0\.7\d+; every value"):
        train(objective, source, config, 0, tmp_path / "run")
