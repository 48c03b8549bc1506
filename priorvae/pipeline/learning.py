"""A bundle from a configuration: training in rounds, until the certificate passes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from priorvae.bundles import Bundle, describe
from priorvae.bundles.info import CertificateInfo, RoundInfo, TrainingInfo
from priorvae.config import RegressionConfig, RunConfig
from priorvae.environment import device_name
from priorvae.evaluation.document import Evaluation
from priorvae.evaluation.evaluate import evaluate_bundle
from priorvae.listener import Listener
from priorvae.objectives import Finished, build_objective, finished, reference_decoder
from priorvae.pipeline.rounds import in_words, round_config
from priorvae.processes import Process
from priorvae.training import Trained, draws_for, train

__all__ = ["Learnt", "learn"]


@dataclass(frozen=True)
class Learnt:
    """What the rounds led to.

    Attributes:
        bundle: The last round's, with its certificate.
        evaluation: Its evaluation.
        best_step: Step with the lowest logged loss; None where nothing was trained.
    """

    bundle: Bundle
    evaluation: Evaluation
    best_step: int | None


def learn(config: RunConfig, process: Process, out: Path, listener: Listener) -> Learnt:
    """Train until the certificate passes, in `training.rounds` rounds at most.

    A run that was killed comes the same way again: rounds that were trained are read back, and
    evaluated as before.

    Raises:
        RunError: A training failed.
    """
    if config.model.type == "reference":
        return _reference(config, process, listener)
    rounds, told, before = config.training.rounds, list[RoundInfo](), None
    plan = config
    for number in range(1, rounds + 1):
        plan, previous = round_config(config, process, number), plan
        changes = in_words(previous, plan)
        listener.stage(
            "Training"
            if number == 1
            else f"Training, round {number} of at most {rounds}, now with {changes}"
        )
        found, trained = _train(plan, process, out, listener, before)
        info = TrainingInfo(steps=trained.steps, seconds=trained.seconds, device=device_name())
        bundle = _bundle(config, process, found, info)
        listener.stage("Evaluating")
        last = number == rounds
        evaluation = evaluate_bundle(
            bundle, process, config.certificate, seed=config.seed, even_if_failed=last
        )
        failed = [figure.sentence() for figure in evaluation.certificate.failures]
        told.append(RoundInfo(steps=plan.training.steps, changes=changes, failed=failed))
        if not failed:
            break
        if not last:
            listener.stage("Not certified yet: " + "; ".join(failed))
        before = trained
    return Learnt(_certified(bundle, evaluation, told), evaluation, trained.best_step)


def _reference(config: RunConfig, process: Process, listener: Listener) -> Learnt:
    decoder, weights = reference_decoder(process)
    info = TrainingInfo(steps=0, seconds=0.0, device="none")
    bundle = _bundle(config, process, Finished(decoder, weights), info)
    listener.stage("Evaluating")
    evaluation = evaluate_bundle(bundle, process, config.certificate, seed=config.seed)
    return Learnt(_certified(bundle, evaluation, []), evaluation, None)


def _train(
    plan: RunConfig, process: Process, out: Path, listener: Listener, before: Trained | None
) -> tuple[Finished, Trained]:
    objective = build_objective(plan.model, process)
    root = plan.model.root if isinstance(plan.model, RegressionConfig) else "symmetric"
    draws = draws_for(objective, process, plan.training, plan.seed, root)
    total = plan.training.steps + (0 if before is None else before.steps)
    trained = train(
        objective,
        draws,
        plan.training,
        plan.seed,
        out,
        lambda entry: listener.progress(entry, total),
        before,
    )
    return finished(objective, trained.weights), trained


def _bundle(config: RunConfig, process: Process, found: Finished, training: TrainingInfo) -> Bundle:
    info = describe(
        found.decoder,
        found.weights,
        process,
        config.process,
        name=config.name,
        type=config.model.type,
        seed=config.seed,
        level=config.level,
        iso3=config.iso3,
        training=training,
        features=found.features,
        choice=config.choice,
    )
    return Bundle(
        info, process.areas, found.weights, arrays=process.arrays, features=found.features
    )


def _certified(bundle: Bundle, evaluation: Evaluation, rounds: list[RoundInfo]) -> Bundle:
    """Return the bundle with the verdict on it, and how its training came to that."""
    certificate = CertificateInfo(
        status=evaluation.certificate.status,  # type: ignore[arg-type]
        figures=[asdict(figure) for figure in evaluation.certificate.figures],
        thresholds=evaluation.certificate.thresholds,
    )
    training = bundle.info.training.model_copy(update={"rounds": rounds})
    changed = {"certificate": certificate, "training": training}
    return replace(bundle, info=bundle.info.model_copy(update=changed))
