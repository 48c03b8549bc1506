"""Decoders of other packages: the file they are set a task by, and the draws they are judged by.

Other packages need other versions of everything, so they run in environments of their own and meet
this one in two files: a problem, and the draws of a decoder that was trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import yaml

from priorvae.areas import read_areas
from priorvae.config import RunConfig, dump_config, parse_config
from priorvae.errors import InputError, ProcessError
from priorvae.processes import GP, Condition, Process, build_process

if TYPE_CHECKING:
    import jax

__all__ = ["Rival", "read_rival", "write_problem"]

_KEYS = {
    "cpu_seconds",
    "draws",
    "gradient_seconds",
    "package",
    "problem",
    "seed",
    "steps",
    "type",
}


def write_problem(config: RunConfig, out: Path) -> None:
    """Write what another package needs to train a decoder of a configuration's process.

    Arrays: `places (area, 2)` and `extent` in km, `kernel`, `lengthscales (7,)` in km at which the
    decoder is judged, the first and last of them the bounds of a log-uniform hyperprior, `area_ids`
    and `config`, the configuration as text.

    Raises:
        InputError: `out` exists.
        ProcessError: The process is not a Gaussian process with one kernel and a free lengthscale.
    """
    if out.exists():
        raise InputError(f"{out}: exists, and nothing is overwritten; choose another --out")
    process = _learnable(build_process(config.process, read_areas(**config.areas.model_dump())))
    assert process.areas.centroids is not None and process.areas.extent is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        out,
        places=process.areas.centroids,
        extent=process.areas.extent,
        kernel=process.kernel,
        lengthscales=process.conditions[0].grid(config.certificate.num_conditions),
        area_ids=np.array(process.areas.ids),
        config=dump_config(config),
    )


def _learnable(process: Process) -> GP:
    """Return a process that other packages can learn, or refuse it."""
    names = ", ".join(condition.name for condition in process.conditions) or "none"
    if not isinstance(process, GP) or names != "lengthscale":
        raise ProcessError(
            "other packages' decoders are trained on a Gaussian process whose only free "
            f"hyperparameter is its lengthscale; this {process.kind} has {names}; use such a "
            "configuration"
        )
    family = process.conditions[0].distribution
    if family != "loguniform":
        raise ProcessError(
            "other packages' decoders are trained with a log-uniform lengthscale, and this one is "
            f"{family}; set process.lengthscale.distribution: loguniform"
        )
    return process


@final
@dataclass(frozen=True, eq=False)
class Rival:
    """A decoder known by its draws at a few lengthscales; `evaluate_prior` can judge it.

    Attributes:
        package: The package that trained it, with its version.
        type: What it is called there.
        config: The configuration whose process it was trained on.
        process: That process.
        draws: Fields `(lengthscale, draw, area)` at the lengthscales it is judged at.
        steps: Steps of its training.
        cpu_seconds: CPU seconds of its training.
        gradient_seconds: CPU seconds of one gradient of a log density through it, in float32.
        seed: Seed of its training.
    """

    package: str
    type: str
    config: RunConfig
    process: GP
    draws: np.ndarray
    steps: int
    cpu_seconds: float
    gradient_seconds: float
    seed: int

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of a field."""
        return self.process.sites

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The lengthscale."""
        return self.process.conditions

    @property
    def latent_dim(self) -> int:
        """0: nothing is known of its latents, so that its draws have no weights."""
        return 0

    @property
    def is_linear(self) -> bool:
        """False: nothing but draws is known of it."""
        return False

    @property
    def num_draws(self) -> int:
        """Draws at each lengthscale."""
        return self.draws.shape[1]

    @property
    def finite(self) -> bool:
        """Whether every draw is a number: a training that diverged leaves others."""
        return bool(np.isfinite(self.draws).all())

    @cached_property
    def _lengthscales(self) -> np.ndarray:
        return self.conditions[0].grid(len(self.draws))

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Refuse: it is not linear.

        Raises:
            ProcessError: Always.
        """
        raise ProcessError(f"{self.type} is known by its draws alone; it has no matrix")

    def decode(self, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
        """Refuse: its weights are not here.

        Raises:
            ProcessError: Always.
        """
        raise ProcessError(f"{self.type} is known by its draws alone; it cannot decode")

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> jax.Array:
        """Return some of the draws `(draw, area)`, chosen by the key, none of them twice.

        Raises:
            ProcessError: There are fewer, or none at this lengthscale.
        """
        import jax
        import jax.numpy as jnp

        found = np.flatnonzero(np.isclose(self._lengthscales, hyper["lengthscale"], rtol=1e-6))
        if len(found) == 0 or num_draws > self.num_draws:
            raise ProcessError(
                f"{self.type} has {self.num_draws} draws at lengthscales "
                f"{', '.join(f'{value:.4g}' for value in self._lengthscales)}; {num_draws} at "
                f"{hyper['lengthscale']:.4g} were asked for"
            )
        chosen = np.asarray(jax.random.permutation(key, self.num_draws))[:num_draws]
        return jnp.asarray(self.draws[found[0]][chosen])


def read_rival(path: Path) -> Rival:
    """Read the draws of another package's decoder, and rebuild the process it stands for.

    Raises:
        InputError: The file is missing, or not one that `scripts/bench_rivals.py` wrote; or its
            draws are not on the map that its configuration names.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            missing = sorted(_KEYS - set(held.files))
            found = {name: held[name] for name in _KEYS if name in held.files}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a rival's draws ({error}); write it with "
            "scripts/bench_rivals.py"
        ) from None
    if missing:
        raise InputError(f"{path}: lacks {missing[0]!r}; write it with scripts/bench_rivals.py")
    config = parse_config(yaml.safe_load(str(found["problem"])), str(path))
    process = _learnable(build_process(config.process, read_areas(**config.areas.model_dump())))
    shape = (config.certificate.num_conditions, process.size)
    draws = found["draws"]
    if draws.ndim != 3 or (draws.shape[0], draws.shape[2]) != shape:
        raise InputError(
            f"{path}: expected draws at {shape[0]} lengthscales on {shape[1]} areas, got an array "
            f"of shape {draws.shape}; train the rival on this problem again"
        )
    return Rival(
        package=str(found["package"]),
        type=str(found["type"]),
        config=config,
        process=process,
        draws=draws,
        steps=int(found["steps"]),
        cpu_seconds=float(found["cpu_seconds"]),
        gradient_seconds=float(found["gradient_seconds"]),
        seed=int(found["seed"]),
    )
