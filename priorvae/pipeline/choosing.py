"""`type: auto` resolved: from a configuration that leaves the decoder open to one that names it."""

from __future__ import annotations

from pathlib import Path

import pydantic

from priorvae.areas import read_areas
from priorvae.config import AutoConfig, RunConfig, TrainingConfig, load_config
from priorvae.errors import ConfigError
from priorvae.objectives.choice import Choice, choose
from priorvae.objectives.costs import Timing, time_decoder
from priorvae.processes import Gaussian, Process, build_process

__all__ = ["explain_choice", "resolve_choice"]


def explain_choice(config: RunConfig) -> Choice:
    """Choose the decoder for a configuration's map and process, and say why. Nothing is trained.

    Example:
        >>> config = priorvae.config.load_config("my-map.yaml")  # doctest: +SKIP
        >>> print(explain_choice(config).record().text())  # doctest: +SKIP

    Args:
        config: The configuration; its `model` is not looked at.

    Raises:
        InputError: The map or the process cannot be used, or no decoder can be made for it.
    """
    areas = read_areas(**config.areas.model_dump())
    return _timed_choice(config, build_process(config.process, areas))


def resolve_choice(config: RunConfig, process: Process, held: Path | None = None) -> RunConfig:
    """Return a configuration in which nothing is left to choose.

    Args:
        config: The configuration; one that names its decoder is returned as it is.
        process: Its process.
        held: The resolved configuration of the run to resume. What that run chose stays chosen.

    Raises:
        ConfigError: The `training` that the user gave does not go with the choice.
        ProcessError: No decoder can be made for the process.
    """
    if not isinstance(config.model, AutoConfig):
        return config
    given = _given(config.training)
    before = load_config(held) if held is not None and held.is_file() else None
    if before is not None and before.choice is not None and before.choice.given == given:
        kept = {"model": before.model, "training": before.training, "choice": before.choice}
        return config.model_copy(update=kept)
    choice = _timed_choice(config, process)
    changed = {
        "model": choice.model.model_dump(mode="json"),
        "training": choice.training.model_dump(mode="json") | given,
        "choice": choice.record(given).model_dump(mode="json"),
    }
    try:
        return RunConfig.model_validate(config.model_dump(mode="json") | changed)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, p['loc']))}: {p['msg'].removeprefix('Value error, ')}"
            for p in error.errors()
        )
        raise ConfigError(
            f"model.type: auto chose {choice.headline}, and your `training` does not go with it "
            f"({problems}); leave those keys out, or name a type"
        ) from None


def _given(training: TrainingConfig) -> dict[str, object]:
    """Return the keys that the user wrote."""
    return training.model_dump(mode="json", include=training.model_fields_set)


def _timed_choice(config: RunConfig, process: Process) -> Choice:
    """Choose by what is counted, and add what was timed: a choice does not hang on a clock."""
    choice = choose(process, config.certificate)
    if choice.shape is None or not isinstance(process, Gaussian):
        return choice
    timing = time_decoder(process, choice.shape)
    return choice if timing is None else choice.because(_in_words(timing))


def _in_words(timing: Timing) -> str:
    return (
        f"On this machine a covariance and its Cholesky factor take {_seconds(timing.exact)}, the "
        f"decoder's two products {_seconds(timing.decoder)}."
    )


def _seconds(value: float) -> str:
    return f"{1e6 * value:.0f} microseconds" if value < 1e-3 else f"{1e3 * value:.3g} milliseconds"
