"""Evaluate a bundle that exists already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydantic

from priorvae.areas import Areas, read_areas
from priorvae.bundles import Bundle, load_bundle
from priorvae.config import CertificateConfig
from priorvae.environment import shown_environment
from priorvae.errors import AreasError, BundleError, InputError
from priorvae.evaluation.document import Evaluation, to_json
from priorvae.evaluation.evaluate import evaluate_bundle
from priorvae.evaluation.report import write_report
from priorvae.processes import Process

__all__ = ["evaluate_path", "map_of"]


def evaluate_path(
    *,
    bundle: str | Path,
    out: str | Path,
    posterior: bool = True,
    seed: int | None = None,
    function: str | None = None,
) -> Evaluation:
    """Evaluate a bundle and write `evaluation.json` and `report.html`.

    The thresholds, and the data of the posterior's part, are those the bundle was certified by.

    Args:
        bundle: Directory of the bundle.
        out: Directory to write; may exist, but not hold an evaluation.
        posterior: Whether to compare posteriors and to calibrate, where the bundle's thresholds
            ask for it.
        seed: Seed of the draws; the bundle's own where None.
        function: The user's function that the bundle stands for, `module:name`: consent to import
            it. Only a bundle of `kind: function` needs it.

    Raises:
        InputError: The bundle cannot be used, or `out` holds an evaluation. Nothing is written.
    """
    out = Path(out)
    _check_out(out)
    loaded = load_bundle(bundle)
    config = _thresholds(loaded)
    if not posterior:
        config = config.model_copy(update={"posterior": None, "calibration": None})
    process = loaded.process(function)
    seed = loaded.info.seed if seed is None else seed
    result = evaluate_bundle(loaded, process, config, seed=seed)
    _write(out, result, loaded, process)
    return result


def _thresholds(bundle: Bundle) -> CertificateConfig:
    try:
        return CertificateConfig.model_validate(bundle.info.certificate.thresholds)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise BundleError(
            f"{bundle.path}: certificate.thresholds.{key}: {problem['msg']}; this version of "
            "priorvae cannot judge by them; train the bundle again"
        ) from None


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a directory for the evaluation as --out")
    held = [name for name in ("evaluation.json", "report.html") if (out / name).exists()]
    if held:
        raise InputError(
            f"{out}: holds {' and '.join(held)} already, and nothing is overwritten; choose "
            "another --out"
        )


def _write(out: Path, evaluation: Evaluation, bundle: Bundle, process: Process) -> None:
    """Write `evaluation.json` and `report.html` into a directory."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(to_json(evaluation), encoding="utf-8")
    write_report(
        out / "report.html",
        evaluation=evaluation,
        bundle=bundle,
        process=process,
        areas=map_of(bundle),
        metrics_path=None if bundle.path is None else bundle.path.parent / "metrics.jsonl",
        environment=shown_environment(),
    )


def map_of(bundle: Bundle) -> Areas:
    """Return the bundle's map, with polygons if its source is at hand and has the same areas."""
    try:
        areas = read_areas(bundle.info.boundary.source)
    except (AreasError, OSError):
        return bundle.areas
    same = areas.ids == bundle.area_ids
    return replace(bundle.areas, geometry=areas.geometry) if same else bundle.areas
