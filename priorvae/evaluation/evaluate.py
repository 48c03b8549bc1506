"""Evaluate a bundle: measure, judge, and write down both."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from priorvae.bundles import Bundle, load_bundle
from priorvae.config import CertificateConfig
from priorvae.errors import AreasError, InputError
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.document import Evaluation, to_json
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.evaluation.targets import split
from priorvae.objectives import reference_decoder
from priorvae.processes.base import Gaussian

if TYPE_CHECKING:
    import jax

    from priorvae.areas.types import Areas

__all__ = ["evaluate", "evaluate_bundle", "map_of"]

LARGEST_REFERENCE = 1500
"""Areas beyond which the analytic reference decoder takes minutes to build."""


def evaluate(
    *,
    bundle: str | Path,
    out: str | Path,
    posterior: bool = True,
    seed: int | None = None,
) -> Evaluation:
    """Evaluate a bundle and write `evaluation.json` and `report.html`.

    The thresholds, and the data of the posterior's part, are those the bundle was certified by.

    Args:
        bundle: Directory of the bundle.
        out: Directory to write; may exist, but not hold an evaluation.
        posterior: Whether to compare posteriors, where the bundle's thresholds name data.
        seed: Seed of the draws; the bundle's own where None.

    Raises:
        InputError: The bundle cannot be used, or `out` holds an evaluation. Nothing is written.
    """
    out = Path(out)
    _check_out(out)
    loaded = load_bundle(bundle)
    config = CertificateConfig.model_validate(loaded.info.certificate.thresholds)
    if not posterior:
        config = config.model_copy(update={"posterior": None})
    result = evaluate_bundle(loaded, config, seed=loaded.info.seed if seed is None else seed)
    write_evaluation(out, result, loaded)
    return result


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a directory for the evaluation as --out")
    held = [name for name in ("evaluation.json", "report.html") if (out / name).exists()]
    if held:
        raise InputError(
            f"{out}: holds {' and '.join(held)} already, and nothing is overwritten; choose "
            "another --out"
        )


def write_evaluation(out: Path, evaluation: Evaluation, bundle: Bundle) -> None:
    """Write `evaluation.json` and `report.html` into a directory."""
    from priorvae.environment import device_name
    from priorvae.evaluation.report import write_report

    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(to_json(evaluation), encoding="utf-8")
    write_report(
        out / "report.html",
        evaluation=evaluation,
        bundle=bundle,
        areas=map_of(bundle),
        metrics_path=None if bundle.path is None else bundle.path.parent / "metrics.jsonl",
        environment={"Evaluated on": device_name()},
    )


def map_of(bundle: Bundle) -> Areas:
    """Return the bundle's map, with polygons if its source is at hand and has the same areas."""
    from priorvae.areas import read_areas

    try:
        areas = read_areas(bundle.info.boundary.source)
    except (AreasError, OSError):
        return bundle.areas
    same = areas.ids == bundle.area_ids
    return replace(bundle.areas, geometry=areas.geometry) if same else bundle.areas


def evaluate_bundle(bundle: Bundle, config: CertificateConfig, *, seed: int) -> Evaluation:
    """Measure a bundle against the process it stands for, and judge it.

    Args:
        bundle: The bundle.
        config: What to measure and the thresholds; the posterior's part where it names data.
        seed: Seed of the draws, the permutations and the sampler.
    """
    import jax

    prior_key, posterior_key = split(jax.random.key(seed))
    start = time.perf_counter()
    prior = _measure_prior(prior_key, bundle, config)
    seconds = {"prior": time.perf_counter() - start}
    posterior = None
    if config.posterior is not None:
        from priorvae.evaluation.comparison import posterior_fidelity

        start = time.perf_counter()
        posterior = posterior_fidelity(posterior_key, bundle, config.posterior)
        seconds["posterior"] = time.perf_counter() - start
    return Evaluation(prior, posterior, certify(prior, posterior, config), seconds)


def _measure_prior(key: jax.Array, bundle: Bundle, config: CertificateConfig) -> PriorFidelity:
    process = bundle.process()
    return evaluate_prior(
        key,
        bundle,
        process,
        num_conditions=config.num_conditions,
        num_draws=config.num_draws,
        reference=_reference(bundle, process),
    )


def _reference(bundle: Bundle, process: Gaussian) -> Bundle | None:
    """Return the analytic decoder of a bundle's process, as a bundle, where it is a yardstick."""
    apart = bundle.info.type != "reference" and bool(bundle.conditions)
    if not apart or len(process.areas) > LARGEST_REFERENCE:
        return None
    decoder, weights = reference_decoder(process)
    changed = {"decoder": decoder.records(), "latent_dim": decoder.latent_dim}
    return Bundle(bundle.info.model_copy(update=changed), bundle.areas, weights)
