"""The training loop: the same arithmetic whether it runs once or is killed and resumed."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from threadpoolctl import threadpool_limits

from priorvae.config import TrainingConfig
from priorvae.errors import RunError
from priorvae.objectives.objective import Batch, Objective
from priorvae.training.checkpoints import Checkpoints
from priorvae.training.draws import DrawSource
from priorvae.training.schedule import learning_rate, moving_average, optimiser

__all__ = ["State", "Trained", "compile_steps", "train"]

SMALL_MAP = 500
"""Areas up to which a factorisation gains nothing from more than one thread."""


class State(NamedTuple):
    """What the next step needs, besides the seed."""

    params: Any
    """Encoder and decoder parameters."""
    optimiser: Any
    """Optax state."""
    average: Any = None
    """Moving average of the parameters, where one is kept."""

    @property
    def result(self) -> Any:
        """The parameters that training hands on."""
        return self.params if self.average is None else self.average


class Trained(NamedTuple):
    """What a finished training leaves."""

    weights: dict[str, np.ndarray]
    """The decoder's weights by flat name, float32."""
    steps: int
    """Steps taken in all."""
    seconds: float
    """Time spent, over all resumptions, warm start and compilation included."""
    best_step: int
    """Step at the end of the logged interval with the lowest mean loss."""
    state: State
    """Encoder and decoder, for a further round."""
    round: int
    """How many trainings it took, this one included."""


Interval = Callable[..., tuple[State, dict[str, jax.Array]]]
"""Takes a state, the steps' numbers and, where draws are made ahead, the steps' batches."""


def train(
    objective: Objective,
    draws: DrawSource,
    config: TrainingConfig,
    seed: int,
    directory: Path,
    report: Callable[[dict[str, float]], None] = lambda metrics: None,
    before: Trained | None = None,
) -> Trained:
    """Train from the latest checkpoint in `directory`, or from the start if there is none.

    A further round starts with the weights of the one before, if its own have the same shapes;
    its steps are numbered on, and its checkpoints have a directory of their own.

    The key of a step is folded from the seed and the step's number, and steps run in intervals of
    `log_every` whose bounds do not depend on where a run was killed; so a resumed run computes
    what an uninterrupted one does, bit for bit.

    Args:
        objective: What is learnt.
        draws: Where batches come from.
        config: Steps, schedule, intervals.
        seed: Seed of initial values and of every batch.
        directory: Run directory; holds `checkpoints/` and `metrics.jsonl`.
        report: Called with the metrics of every interval.
        before: The round before this one.

    Raises:
        ProcessError: A draw is not finite; says with which hyperparameters.
        RunError: The loss is no longer finite; says at which step and the likely cause.
    """
    started = time.monotonic()
    number, first = (1, 0) if before is None else (before.round + 1, before.steps)
    last = first + config.steps
    interval, skeleton, initial = compile_steps(objective, draws, config, seed)
    log = MetricsLog(directory / "metrics.jsonl")
    own = directory / ("checkpoints" if number == 1 else f"checkpoints-{number}")
    with Checkpoints(own, config.keep_checkpoints) as checkpoints:
        latest = checkpoints.latest()
        small = objective.decoder.num_areas <= SMALL_MAP
        if latest is None:
            with _few_threads(small):
                state, step = initial(None if before is None else before.state), first
            checkpoints.save(step, state)
        else:
            state, step = checkpoints.restore(latest, skeleton), latest
        if step < last:
            log.truncate(step)
        spent = log.last_seconds()
        while step < last:
            steps = jnp.arange(step, min(step + config.log_every, last))
            drawn = draws.ahead(_batch_keys(seed, steps))
            with _few_threads(small):
                state, metrics = jax.block_until_ready(interval(state, steps, drawn))
            step += len(steps)
            bad = np.flatnonzero(~np.isfinite(np.asarray(metrics["loss"])))
            if len(bad) > 0:
                draws.check(_batch_keys(seed, steps)[int(bad[0])])
                raise _diverged(int(steps[bad[0]]), first, config)
            entry = _summarise(step, first, metrics, config)
            entry["seconds"] = spent + time.monotonic() - started
            log.append(entry)
            report(entry)
            if (step - first) % config.checkpoint_every == 0 or step == last:
                checkpoints.save(step, state)
    weights = _decoder_weights(objective, seed, state.result)
    return Trained(weights, step, log.last_seconds(), log.best_step(), state, number)


def _few_threads(small: bool) -> threadpool_limits:
    """Small factorisations are slower on many threads than on one."""
    return threadpool_limits(1 if small else None, user_api="blas")


class MetricsLog:
    """`metrics.jsonl`: one JSON object for each logged interval."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = self._read()

    def _read(self) -> list[dict[str, float]]:
        if not self._path.exists():
            return []
        # A line cut short by a kill is the last one, and lies behind the last checkpoint.
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def truncate(self, step: int) -> None:
        """Forget what was logged after `step`: it will be computed again."""
        self._entries = [entry for entry in self._entries if entry["step"] <= step]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(map(_line, self._entries)), encoding="utf-8")
        os.replace(partial, self._path)

    def append(self, entry: dict[str, float]) -> None:
        """Add an entry and flush it."""
        self._entries.append(entry)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def last_seconds(self) -> float:
        """Return the training time logged so far."""
        return self._entries[-1]["seconds"] if self._entries else 0.0

    def best_step(self) -> int:
        """Return the step with the lowest logged loss."""
        return int(min(self._entries, key=lambda entry: entry["loss"])["step"])


def _line(entry: dict[str, float]) -> str:
    return json.dumps(entry) + "\n"


def compile_steps(
    objective: Objective, draws: DrawSource, config: TrainingConfig, seed: int
) -> tuple[Interval, State, Callable[[State | None], State]]:
    """Return the jitted interval of steps, a state of the right shapes, and the initial state.

    The last takes the state that an earlier round ended with, or None.
    """
    transform = optimiser(config)
    structure, shapes, *constants = nnx.split(objective.build(seed, None), nnx.Param, ...)

    def loss(
        params: Any, key: jax.Array, drawn: Batch | None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        key_batch, key_loss = jax.random.split(key)
        batch = draws.batch(key_batch) if drawn is None else drawn
        return objective.loss(nnx.merge(structure, params, *constants), batch, key_loss)

    def one_step(
        state: State, inputs: tuple[jax.Array, Batch | None]
    ) -> tuple[State, dict[str, jax.Array]]:
        step, drawn = inputs
        key = _step_key(seed, step)
        (value, parts), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, key, drawn)
        updates, optimiser_state = transform.update(gradient, state.optimiser, state.params)
        moved = jax.tree.map(lambda p, u: p + u, state.params, updates)
        average = moving_average(state.average, moved, step, config.ema_decay)
        return State(moved, optimiser_state, average), {"loss": value, **parts}

    @jax.jit
    def interval(
        state: State, steps: jax.Array, drawn: Batch | None = None
    ) -> tuple[State, dict[str, jax.Array]]:
        with jax.default_matmul_precision(config.matmul_precision):
            return jax.lax.scan(one_step, state, (steps, drawn))

    def start(params: Any) -> State:
        return State(params, transform.init(params), params if config.ema_decay else None)

    def initial(before: State | None) -> State:
        if before is not None and _shapes(before.params) == _shapes(shapes):
            return start(before.result)
        return start(nnx.split(objective.initial(seed), nnx.Param, ...)[1])

    return interval, start(shapes), initial


def _shapes(params: Any) -> Any:
    return jax.tree.structure(params), [leaf.shape for leaf in jax.tree.leaves(params)]


def _step_key(seed: int, step: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), step)


def _batch_keys(seed: int, steps: jax.Array) -> jax.Array:
    """Return the keys that the batches of some steps are drawn with."""
    return jax.vmap(lambda step: jax.random.split(_step_key(seed, step))[0])(steps)


def _diverged(step: int, first: int, config: TrainingConfig) -> RunError:
    rate = float(learning_rate(config)(step - first))
    return RunError(
        f"the loss is not finite at step {step} (learning rate {rate:.3g}). Likely causes: a "
        f"learning rate too large for this map (try training.learning_rate="
        f"{config.learning_rate / 10:.3g}), or a likelihood variance too small for float32 "
        f"(try a larger model.likelihood_variance)"
    )


def _summarise(
    step: int, first: int, metrics: dict[str, jax.Array], config: TrainingConfig
) -> dict[str, float]:
    entry: dict[str, float] = {"step": step}
    entry |= {name: float(np.mean(np.asarray(values))) for name, values in metrics.items()}
    entry["learning_rate"] = float(learning_rate(config)(step - first - 1))
    assert math.isfinite(entry["loss"])
    return entry


def _decoder_weights(objective: Objective, seed: int, params: Any) -> dict[str, np.ndarray]:
    """Return the decoder's parameters, and the constants of the map that training left alone."""
    structure, _, *constants = nnx.split(objective.build(seed, None), nnx.Param, ...)
    weights = nnx.merge(structure, params, *constants).decoder.weights
    return {name: np.asarray(variable[...]) for name, variable in weights.items()}
