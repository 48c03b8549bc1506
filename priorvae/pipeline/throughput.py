"""How quickly a configuration trains on a device, and how quickly it could."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, cast, final

import jax
import jax.numpy as jnp
from threadpoolctl import threadpool_limits

from priorvae.areas import read_areas
from priorvae.config import RegressionConfig, RunConfig
from priorvae.errors import InputError, RunError
from priorvae.listener import Listener
from priorvae.objectives import build_objective
from priorvae.pipeline.floor import (
    Peaks,
    Work,
    clock_of,
    count_work,
    measure_peaks,
    memory_at_hand,
    memory_needed,
    quickest_call,
)
from priorvae.pipeline.training import train_run
from priorvae.processes import Process, build_process
from priorvae.training import DrawSource, draws_for
from priorvae.training.loop import State, compile_steps
from priorvae.training.simulated import CalledDraws

__all__ = [
    "Certified",
    "TrainingSteps",
    "TrainingTiming",
    "seconds_to_certificate",
    "time_training",
]


@final
@dataclass(frozen=True, eq=False)
class TrainingSteps:
    """The steps of a configuration's training, and a state to start them from.

    Attributes:
        process: What is learnt.
        draws: Where batches come from.
        run: The jitted interval of steps.
        state: Initial values, without the warm start: it changes no step's cost.
    """

    process: Process
    draws: DrawSource
    run: jax.stages.Wrapped
    state: State

    @classmethod
    def build(cls, config: RunConfig) -> Self:
        """Prepare the training of a configuration, on the default device.

        Raises:
            InputError: The map or the process cannot be used, or draws come from the host.
        """
        process = build_process(config.process, read_areas(**config.areas.model_dump()))
        objective = build_objective(config.model, process)
        root = config.model.root if isinstance(config.model, RegressionConfig) else "symmetric"
        draws = draws_for(objective, process, config.training, config.seed, root)
        if isinstance(draws, CalledDraws):
            raise InputError(
                f"{config.name}: only Python can draw from its process, between the steps, so that "
                "there is no compiled step to time; write the simulator in JAX"
            )
        run, state, _ = compile_steps(objective, draws, config.training, config.seed)
        return cls(process, draws, cast(jax.stages.Wrapped, run), state)


class TrainingTiming(NamedTuple):
    """A training step on one device."""

    areas: int
    """Values of a field."""
    batch_size: int
    """Draws a step."""
    seconds: float
    """Of one step, drawing its batch included."""
    work: Work
    """Of one step."""
    peaks: Peaks
    """Of the device."""

    @property
    def draws_per_second(self) -> float:
        """Draws that training takes in."""
        return self.batch_size / self.seconds

    @property
    def floor(self) -> float | None:
        """The seconds that a step takes at the least."""
        return self.work.floor(self.peaks)

    @property
    def share(self) -> float | None:
        """The floor as a fraction of what a step takes."""
        return None if self.floor is None else self.floor / self.seconds


class Certified(NamedTuple):
    """A training that was timed until its prior was judged."""

    passed: bool
    """Whether the certificate passed."""
    seconds: float
    """From reading the map to the bundle that is written."""
    rounds: int
    """Trainings that it took."""


def time_training(config: RunConfig, device: jax.Device, *, seconds: float = 3.0) -> TrainingTiming:
    """Time the compiled training step of a configuration on a device, and count its work.

    Steps run in one compiled interval, as they do in training, so that the price of a call is
    shared; where one step fills the time, one by one. The figure is that of the quickest interval.
    Work is that of a single step: XLA counts the body of a loop once.

    Args:
        config: The configuration.
        device: Where it runs.
        seconds: Seconds that each figure is measured over, about, by `clock_of` the device.

    Raises:
        InputError: The configuration cannot be used, or draws come from the host.
        RunError: A step needs more memory than there is.
    """
    with jax.default_device(device), threadpool_limits(1, user_api="blas"):
        steps = TrainingSteps.build(config)
        # Committed to the device, so that the program is compiled for it whatever the default.
        state = jax.device_put(steps.state, device)
        first = jax.device_put(jnp.arange(1), device)
        one = steps.run.lower(state, first).compile()
        _require_memory(config, device, memory_needed(one))
        work = count_work(steps.run, one, state, first)
        spent = quickest_call(lambda: one(state, first), seconds / 10, clock_of(device))
        if (together := min(config.training.log_every, int(seconds / 4 / spent))) > 1:
            numbers = jax.device_put(jnp.arange(together), device)
            spent = (
                quickest_call(lambda: steps.run(state, numbers), seconds, clock_of(device))
                / together
            )
    peaks = measure_peaks(device, memory_needed(one))
    return TrainingTiming(steps.process.size, steps.draws.batch_size, spent, work, peaks)


def seconds_to_certificate(
    config: RunConfig, device: jax.Device, out: Path, listener: Listener | None = None
) -> Certified:
    """Time a training on a device until the prior's certificate passes or the rounds are used up.

    Everything counts: the map, roots, warm start, compilation, training and the evaluation of the
    prior. No posterior is compared and no ranks are drawn.

    Args:
        config: The configuration.
        device: Where it runs.
        out: Run directory, new or empty.
        listener: Told about stages and progress.

    Raises:
        InputError: The configuration cannot be used, or `out` holds something.
        RunError: Training failed.
    """
    certificate = config.certificate.model_copy(update={"posterior": None, "calibration": None})
    clock = clock_of(device)
    jax.clear_caches()  # compilation counts
    start = clock()
    with jax.default_device(device):
        run = train_run(
            config.model_copy(update={"certificate": certificate}), out=out, listener=listener
        )
    spent = clock() - start
    return Certified(
        run.evaluation.certificate.status == "passed",
        spent,
        len(run.bundle.info.training.rounds or ()),
    )


def _require_memory(config: RunConfig, device: jax.Device, needed: int) -> None:
    at_hand = memory_at_hand(device)
    if at_hand is not None and needed > at_hand:
        raise RunError(
            f"{config.name}: a step needs {needed / 2**30:.1f} GiB on {device.platform}, where "
            f"{at_hand / 2**30:.1f} GiB are free; lower training.conditions_per_step"
        )
