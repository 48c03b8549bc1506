"""Decoders side by side: every one trained, judged and timed in one run, for one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import jax
import numpy as np

from priorvae.areas import read_areas
from priorvae.config import RunConfig
from priorvae.errors import InputError, ProcessError, RunError
from priorvae.evaluation.document import Evaluation
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.inference import ExactPrior
from priorvae.listener import Listener, Silent
from priorvae.pipeline.cost import Cost
from priorvae.pipeline.gradient import gradient_seconds
from priorvae.pipeline.rivals import Rival
from priorvae.pipeline.training import Run, train_run
from priorvae.pipeline.weighing import weighted_figures
from priorvae.processes import Gaussian, Process, build_process

if TYPE_CHECKING:
    from priorvae.inference.prior import SpatialPrior

__all__ = ["FROM_POSTERIOR", "FROM_PRIOR", "DecoderRow", "bench_decoders"]

FROM_PRIOR = (
    "covariance_error",
    "worst_sd",
    "neighbour_correlation",
    "bures_wasserstein",
    "importance_fraction",
    "mmd_pvalue",
)
"""Figures of the prior, the worst over the hyperparameters."""

FROM_POSTERIOR = (
    "correlation",
    "rmse",
    "sd_ratio",
    "coverage",
    "hyper_shift",
    "posterior_fraction",
)
"""Figures of the posterior, where it was compared."""

_LARGEST_EXACT = 4000
"""Areas beyond which one gradient of the exact process takes a minute."""


@dataclass(frozen=True)
class DecoderRow:
    """One decoder: how close it is to its process, and what it costs.

    Attributes:
        name: Of its configuration, or a rival's package.
        type: Its type.
        map: Where the map came from.
        areas: Values of a field.
        seed: Seed of its training.
        figures: Figures by name, the worst over the hyperparameters; those it has.
        null: By figure measured from draws: what draws of the process itself give.
        certificate: `passed` or `failed`; None for a rival and for a training that failed.
        cpu_seconds: Of the training, everything before the evaluation included; None where it is
            not known.
        steps: Of the training.
        gradient: CPU seconds of one gradient by float type; see `gradient_seconds`.
        exact_gradient: The same of the exact process on the same map in the same run, in float64;
            None where there is none.
        error: Why the training failed; None where it did not.
    """

    name: str
    type: str
    map: str
    areas: int
    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    null: dict[str, float] = field(default_factory=dict)
    certificate: str | None = None
    cpu_seconds: float | None = None
    steps: int | None = None
    gradient: dict[str, float] = field(default_factory=dict)
    exact_gradient: float | None = None
    error: str | None = None

    @property
    def ratio(self) -> float | None:
        """How many times cheaper a gradient is than the exact process's."""
        ours = self.gradient.get("float64", self.gradient.get("float32"))
        return None if ours is None or self.exact_gradient is None else self.exact_gradient / ours


def bench_decoders(
    configs: Sequence[RunConfig],
    *,
    out: Path,
    rivals: Sequence[Rival] = (),
    weighted: bool = False,
    seconds: float = 1.5,
    listener: Listener | None = None,
) -> list[DecoderRow]:
    """Train every configuration, judge it, and time a gradient; judge rivals beside them.

    A run directory `out/NAME` that is done is not trained again, and one that was cut short is
    gone on with; so is the count of its CPU seconds, in `out/NAME.cost.json`. A training that
    failed is a result too, and is not tried again while its directory stands.

    Args:
        configs: What to train; see `variants`.
        out: Directory of the run directories.
        rivals: Decoders of other packages, known by their draws.
        weighted: Whether to compare every decoder's posterior on simulated counts with the exact
            one by weights; see `weighted_figures`.
        seconds: CPU seconds that each gradient is measured over.
        listener: Told about the stages.

    Raises:
        InputError: A configuration cannot be used, or `out` holds a run of another one.
    """
    listener = listener or Silent()
    timer = _Timer(seconds, listener)
    # All of them before the first is trained: a mistake in the last shows at once.
    processes = _processes(configs)
    rows = []
    for config, process in zip(configs, processes, strict=True):
        rows.append(_ours(config, process, out, timer, listener, weighted))
        jax.clear_caches()  # of programs that the next training cannot use
    return rows + [_theirs(rival, timer, listener) for rival in rivals]


def _processes(configs: Sequence[RunConfig]) -> list[Process]:
    """Return the process of each configuration, built once where several share it."""
    known: dict[str, Process] = {}
    for config in configs:
        if _task(config) not in known:
            areas = read_areas(**config.areas.model_dump())
            known[_task(config)] = build_process(config.process, areas)
    return [known[_task(config)] for config in configs]


def _task(config: RunConfig) -> str:
    return config.areas.model_dump_json() + config.process.model_dump_json()


def _ours(
    config: RunConfig,
    process: Process,
    out: Path,
    timer: _Timer,
    listener: Listener,
    weighted: bool,
) -> DecoderRow:
    listener.stage(f"{config.name}, seed {config.seed}")
    directory = out / config.name
    cost = Cost(directory.with_name(f"{config.name}.cost.json"), listener, directory.exists())
    known: dict[str, Any] = {
        "name": config.name,
        "type": config.model.type,
        "seed": config.seed,
        **_place(process),
    }
    run = None if cost.error else _run(config, directory, cost, listener)
    if run is None:
        return DecoderRow(**known, cpu_seconds=cost.seconds, error=cost.error)
    figures, null = _judged(run.evaluation)
    if weighted:
        listener.stage("Comparing posteriors by weights")
        kept = directory.with_name(f"{config.name}.posterior.json")
        figures = figures | weighted_figures(run.bundle, process, kept)
    return DecoderRow(
        **known,
        figures=figures,
        null=null,
        certificate=run.evaluation.certificate.status,
        cpu_seconds=cost.seconds,
        steps=run.bundle.info.training.steps,
        gradient=timer.decoder(run.bundle),
        exact_gradient=timer.exact(process),
    )


def _run(config: RunConfig, directory: Path, cost: Cost, listener: Listener) -> Run | None:
    """Train, or read what is there; None where training fails."""
    resume = (directory / "config.yaml").exists()
    if resume and not cost.known:
        raise InputError(
            f"{directory}: holds a run that was not made by this benchmark, so that its CPU "
            "seconds are not known; choose another --out"
        )
    if cost.done:
        return train_run(config, out=directory, resume=True, listener=listener)
    try:
        with cost:
            run = train_run(config, out=directory, resume=resume, listener=cost)
    except (RunError, np.linalg.LinAlgError) as error:
        cost.end(str(error))
        return None
    cost.end()
    return run


def _theirs(rival: Rival, timer: _Timer, listener: Listener) -> DecoderRow:
    listener.stage(f"{rival.package} {rival.type} on {rival.config.name}")
    known: dict[str, Any] = {
        "name": rival.package,
        "type": rival.type,
        "seed": rival.seed,
        "cpu_seconds": rival.cpu_seconds,
        "steps": rival.steps,
        **_place(rival.process),
    }
    if not rival.finite:
        return DecoderRow(**known, error="its draws are not finite")
    figures, null = _figures(_judge_draws(rival))
    return DecoderRow(
        **known,
        figures=figures,
        null=null,
        gradient={"float32": rival.gradient_seconds},
        exact_gradient=timer.exact(rival.process),
    )


def _judge_draws(rival: Rival) -> PriorFidelity:
    certificate = rival.config.certificate
    return evaluate_prior(
        jax.random.key(rival.config.seed),
        rival,
        rival.process,
        num_conditions=certificate.num_conditions,
        num_draws=min(certificate.num_draws, rival.num_draws),
        num_moment_draws=rival.num_draws,
    )


def _place(process: Process) -> dict[str, Any]:
    return {"map": process.areas.provenance.source, "areas": process.size}


class _Judged(NamedTuple):
    figures: dict[str, float]
    null: dict[str, float]


def _judged(evaluation: Evaluation) -> _Judged:
    """Return the figures of an evaluation, and the nulls of those that have one."""
    prior = _figures(evaluation.prior)
    listed = evaluation.certificate.figures
    posterior = {f.name: f.value for f in listed if f.part == "posterior"}
    if "importance_fraction" in posterior:
        posterior["posterior_fraction"] = posterior["importance_fraction"]
    chosen = {name: posterior[name] for name in FROM_POSTERIOR if name in posterior}
    return prior._replace(figures=prior.figures | chosen)


def _figures(prior: PriorFidelity) -> _Judged:
    """Return the worst of every figure of the prior, and the nulls."""
    found = {name: worst for name in FROM_PRIOR if (worst := prior.worst(name)) is not None}
    figures = {name: worst.value for name, worst in found.items()}
    figures["mmd_pvalue"] = prior.familywise_pvalue("mmd_pvalue")
    null = {name: worst.null for name, worst in found.items() if worst.null is not None}
    return _Judged(figures, null)


@final
class _Timer:
    """Times gradients; the exact process's once for each process of the run."""

    def __init__(self, seconds: float, listener: Listener) -> None:
        self._seconds, self._listener = seconds, listener
        self._known: dict[str, float | None] = {}

    def decoder(self, prior: SpatialPrior) -> dict[str, float]:
        """Return a decoder's CPU seconds by float type."""
        return {dtype: self._measured(prior, dtype) for dtype in ("float32", "float64")}

    def exact(self, process: Process) -> float | None:
        """Return the exact process's, or None where there is no exact inference."""
        key = repr((process.kind, process.conditions, process.fixed, process.areas.fingerprint()))
        if key not in self._known:
            self._listener.stage(f"Exact gradient, {process.size} values")
            self._known[key] = self._exact(process)
        return self._known[key]

    def _exact(self, process: Process) -> float | None:
        if not isinstance(process, Gaussian) or process.size > _LARGEST_EXACT:
            return None
        try:
            prior = ExactPrior(process)
        except ProcessError:
            return None  # a singular covariance
        return self._measured(prior, "float64")

    def _measured(self, prior: SpatialPrior, dtype: str) -> float:
        return gradient_seconds(prior, dtype, seconds=self._seconds)
