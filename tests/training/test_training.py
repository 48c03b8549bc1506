import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.config import GPConfig, TrainingConfig, VAEConfig
from priorvae.errors import RunError
from priorvae.objectives import VAE, build_objective
from priorvae.processes import Gaussian, build_process
from priorvae.training import train
from priorvae.training.checkpoints import Checkpoints
from priorvae.training.draws import RootDraws
from priorvae.training.loop import compile_steps
from priorvae.training.schedule import moving_average
from tests.maps import lattice

LENGTHSCALE = {
    "distribution": "lognormal",
    "loc": 3.0,
    "scale": 0.4,
    "low": 5,
    "high": 60,
    "unit": "km",
}


@pytest.fixture(scope="module")
def process() -> Gaussian:
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=LENGTHSCALE)  # type: ignore[arg-type]
    return build_process(config, lattice(3, 4))


def settings(**changes: Any) -> TrainingConfig:
    base = {
        "steps": 20, "conditions_per_step": 4, "warmup_steps": 2, "log_every": 5,
        "checkpoint_every": 10, "learning_rate": 1e-3,
    }  # fmt: skip
    return TrainingConfig(**{**base, **changes})


def prepare(process: Gaussian, config: TrainingConfig) -> tuple[VAE, RootDraws]:
    objective = build_objective(VAEConfig(type="PriorCVAE", warm_start_sweeps=20), process)
    return objective, RootDraws.build(process, config, objective.variance)


def test_columns_have_the_second_moment_exactly(process: Gaussian) -> None:
    source = RootDraws.build(process, settings(), noise=0.1)
    batch = source.batch(jax.random.key(0))
    for unit, draws in zip(batch.unit, np.asarray(batch.draws), strict=True):
        hyper = {"lengthscale": float(process.conditions[0].from_unit(unit[0]))}
        expected = process.covariance(hyper) + 0.1 * np.eye(12)
        np.testing.assert_allclose(draws.T @ draws / len(draws), expected, atol=2e-5)


def test_random_draws_have_the_covariance(process: Gaussian) -> None:
    """Whitened, 4 groups of 5,000 draws are N(0, I): chi-square within 4.5 sd."""
    config = settings(draws="random", batch_size=20_000)
    batch = RootDraws.build(process, config, noise=0.1).batch(jax.random.key(0))
    assert batch.draws.shape == (4, 5000, 12)
    for unit, draws in zip(batch.unit, np.asarray(batch.draws), strict=True):
        hyper = {"lengthscale": float(process.conditions[0].from_unit(unit[0]))}
        covariance = process.covariance(hyper) + 0.1 * np.eye(12)
        mean = np.mean(np.sum(draws * np.linalg.solve(covariance, draws.T).T, axis=1))
        assert abs(mean - 12) < 4.5 * np.sqrt(2 * 12 / 5000)


@pytest.mark.parametrize("over", ["range", "hyperprior"])
def test_conditions_are_stratified(process: Gaussian, over: str) -> None:
    source = RootDraws.build(process, settings(conditions_per_step=8, over=over), noise=0.1)
    (condition,) = process.conditions
    for seed in range(3):
        unit = np.asarray(source.batch(jax.random.key(seed)).unit[:, 0], dtype=float)
        probability = (
            (unit + 1) / 2 if over == "range" else condition.cdf(condition.from_unit(unit))
        )
        assert sorted(np.floor(probability * 8)) == list(range(8))


def test_loss_falls_and_metrics_are_logged(process: Gaussian, tmp_path: Path) -> None:
    config = settings(steps=200, log_every=20, checkpoint_every=100, learning_rate=3e-3)
    model = VAEConfig(type="PriorCVAE", structure="mlp", hidden=16, latent_dim=12,
                        encoder="diagonal", warm_start="none", likelihood_variance=0.1)  # fmt: skip
    objective = build_objective(model, process)
    source = RootDraws.build(process, config, objective.variance)
    seen: list[dict[str, float]] = []
    trained = train(objective, source, config, 0, tmp_path, seen.append)
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert entries == seen and [e["step"] for e in entries] == list(range(20, 201, 20))
    assert entries[-1]["loss"] < 0.5 * entries[0]["loss"]
    assert trained.steps == 200 and trained.best_step in {e["step"] for e in entries}
    assert all(value.dtype == np.float32 for value in trained.weights.values())


def test_resuming_is_bit_equal(process: Gaussian, tmp_path: Path) -> None:
    """Stopped after 10 of 20 steps, with metrics logged beyond the checkpoint, and resumed."""
    config = settings()
    objective, source = prepare(process, config)
    whole = train(objective, source, config, 7, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(entry: dict[str, float]) -> None:
        if entry["step"] == 15:
            raise KilledError

    with pytest.raises(KilledError):
        train(objective, source, config, 7, tmp_path / "parts", kill)
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "lo')
    resumed = train(objective, source, config, 7, tmp_path / "parts")
    for name, value in whole.weights.items():
        assert value.tobytes() == resumed.weights[name].tobytes(), name

    def losses(run: str) -> list[tuple[float, float]]:
        lines = (tmp_path / run / "metrics.jsonl").read_text().splitlines()
        return [(e["step"], e["loss"]) for e in map(json.loads, lines)]

    assert losses("whole") == losses("parts")


def test_same_seed_same_weights_other_seed_others(process: Gaussian, tmp_path: Path) -> None:
    config = settings()
    objective, source = prepare(process, config)
    runs = [
        train(objective, source, config, s, tmp_path / n) for s, n in ((1, "a"), (1, "b"), (2, "c"))
    ]
    name = "layers.0.0.1.kernel"
    np.testing.assert_array_equal(runs[0].weights[name], runs[1].weights[name])
    assert not np.array_equal(runs[0].weights[name], runs[2].weights[name])


def test_a_loss_that_is_not_finite_stops_at_once(process: Gaussian, tmp_path: Path) -> None:
    config = settings(steps=1000, learning_rate=1e30, clip_norm=1e30)
    objective, source = prepare(process, config)
    with pytest.raises(RunError, match=r"not finite at step \d+ .*learning rate") as caught:
        train(objective, source, config, 0, tmp_path)
    found = re.search(r"step (\d+)", str(caught.value))
    assert found and int(found[1]) < 20


def test_the_step_is_compiled_once(process: Gaussian, tmp_path: Path) -> None:
    config = settings()
    objective, source = prepare(process, config)
    traces = 0
    original = RootDraws.batch

    def counted(self: RootDraws, key: jax.Array) -> Any:
        nonlocal traces
        traces += 1
        return original(self, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RootDraws, "batch", counted)
        train(objective, source, config, 0, tmp_path)
    assert traces == 1


def test_checkpoints_keep_the_latest(tmp_path: Path) -> None:
    state = {"a": jnp.arange(3.0), "b": (jnp.int32(4),)}
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.latest() is None
        for step in (1, 2, 3):
            checkpoints.save(step, {"a": state["a"] * step, "b": state["b"]})
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.latest() == 3
        restored = checkpoints.restore(3, state)
    np.testing.assert_array_equal(restored["a"], [0, 3, 6])
    assert sorted(p.name for p in (tmp_path / "c").iterdir() if p.name.isdigit()) == ["2", "3"]


def test_the_moving_average_is_the_one_written_by_hand() -> None:
    averages = jnp.float32(1.0)
    expected = 1.0
    for step, value in enumerate([3.0, -2.0, 5.0, 0.5] * 5):
        averages = moving_average(averages, jnp.float32(value), jnp.asarray(step), 0.8)
        decay = min(0.8, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(averages) == pytest.approx(expected, rel=1e-5)


def test_averaged_weights_are_handed_on_and_resumed(process: Gaussian, tmp_path: Path) -> None:
    settled = {
        decay: train(*prepare(process, config), config, 7, tmp_path / str(decay))
        for decay in (0.0, 0.9)
        for config in [settings(ema_decay=decay)]
    }
    name = "layers.0.0.1.kernel"
    assert not np.array_equal(settled[0.0].weights[name], settled[0.9].weights[name])
    # The average does not act on the training itself.
    last, averaged = (
        s.state.params["decoder"]["weights"][name][...] for s in (settled[0.0], settled[0.9])
    )
    np.testing.assert_array_equal(last, averaged)
    config = settings(ema_decay=0.9)
    again = train(*prepare(process, config), config, 7, tmp_path / "0.9")
    np.testing.assert_array_equal(again.weights[name], settled[0.9].weights[name])


@pytest.mark.parametrize(
    ("precision", "shown"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH")]
)
def test_products_are_asked_for_in_the_configured_precision(
    process: Gaussian, precision: str, shown: str
) -> None:
    config = settings(matmul_precision=precision)
    interval, state, _ = compile_steps(*prepare(process, config), config, 0)
    text = interval.lower(state, jnp.arange(2), None).as_text()
    assert f"precision = [{shown}, {shown}]" in text and "[DEFAULT, DEFAULT]" not in text


def test_a_further_round_starts_with_the_weights_of_the_last(
    process: Gaussian, tmp_path: Path
) -> None:
    config = settings()
    first = train(*prepare(process, config), config, 7, tmp_path)
    still = settings(learning_rate=1e-30, steps=10)
    second = train(*prepare(process, still), still, 7, tmp_path, before=first)
    assert (second.round, second.steps) == (2, 30)
    for name, value in first.weights.items():
        np.testing.assert_array_equal(second.weights[name], value)
    assert (tmp_path / "checkpoints-2" / "30").is_dir()
