"""`report.html`: one self-contained page that says whether a bundle can be trusted, and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from priorvae.decoders import Decoder
from priorvae.decoders.engines import engine_notes
from priorvae.evaluation.certificate import Figure

if TYPE_CHECKING:
    from priorvae.areas.types import Areas
    from priorvae.bundles import Bundle, BundleInfo
    from priorvae.bundles.info import LayersInfo
    from priorvae.evaluation.document import Evaluation
    from priorvae.evaluation.drawing import ReportFigure
    from priorvae.processes import Condition, Process

__all__ = ["collect_figures", "render_report", "write_report"]


def write_report(
    path: Path,
    *,
    evaluation: Evaluation,
    bundle: Bundle,
    process: Process,
    areas: Areas,
    metrics_path: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Write the report of an evaluation, whole or not at all.

    Args:
        path: File to write; an earlier report is replaced.
        evaluation: What was measured, and the verdict.
        bundle: The bundle it was measured on.
        process: The process it was measured against.
        areas: Its map, with geometry where that is at hand.
        metrics_path: `metrics.jsonl` of its training, where that is at hand.
        environment: Versions and devices by name, shown with the provenance.
    """
    text = render_report(
        evaluation=evaluation,
        bundle_info=bundle.info,
        areas=areas,
        figures=collect_figures(bundle, process, evaluation, areas, metrics_path),
        environment=environment,
    )
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def collect_figures(
    bundle: Bundle,
    process: Process,
    evaluation: Evaluation,
    areas: Areas,
    metrics_path: Path | None = None,
) -> list[ReportFigure]:
    """Draw every figure there is something to show for; draws come from the bundle's seed."""
    import jax

    from priorvae.config import CertificateConfig
    from priorvae.evaluation import figures

    key = jax.random.key(bundle.info.seed)
    views = figures.look(key, bundle, process, evaluation.prior)
    config = CertificateConfig.model_validate(evaluation.certificate.thresholds)
    found = [
        figures.threshold_figure(evaluation.prior, config),
        *figures.prior_figures(views, areas, process.layers),
        *(figures.posterior_figures(evaluation.posterior) if evaluation.posterior else ()),
        figures.rank_figure(evaluation.calibration) if evaluation.calibration else None,
        figures.loss_figure(metrics_path) if metrics_path and metrics_path.is_file() else None,
    ]
    return [figure for figure in found if figure is not None]


def render_report(
    *,
    evaluation: Evaluation,
    bundle_info: BundleInfo,
    areas: Areas,
    figures: Sequence[ReportFigure],
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the report's HTML.

    Args:
        evaluation: What was measured, and the verdict.
        bundle_info: The bundle's metadata.
        areas: Its map.
        figures: Figures, in the order they are shown within their sections.
        environment: Versions and devices by name.
    """
    conditions = {c.name: c.to_condition() for c in bundle_info.process.hyperprior}
    names = _names(areas, bundle_info.layers)
    templates = Environment(
        loader=PackageLoader("priorvae.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = _number
    return templates.get_template("report.html.j2").render(
        evaluation=evaluation,
        certificate=evaluation.certificate,
        rows=[(f, _place(f, names, conditions)) for f in evaluation.certificate.figures],
        info=bundle_info,
        areas=areas,
        sections={
            name: [figure for figure in figures if figure.section == name]
            for name in ("prior", "posterior", "calibration", "training")
        },
        hyperparameters=_hyperparameters(bundle_info),
        engines=engine_notes(_decoder(bundle_info)),
        process=_process(bundle_info),
        environment=environment or {},
    )


def _decoder(info: BundleInfo) -> Decoder:
    """Return the specification of a bundle's decoder."""
    conditions = tuple(record.to_condition() for record in info.conditions)
    size = info.num_areas * (1 if info.layers is None else len(info.layers.labels))
    return Decoder.from_records(info.decoder, info.latent_dim, size, conditions)


def _names(areas: Areas, layers: LayersInfo | None) -> dict[str, str]:
    """Return the name of every value of a field, by its site."""
    names = dict(zip(areas.ids, areas.names, strict=True))
    if layers is None:
        return names
    return {f"{label}/{i}": name for label in layers.labels for i, name in names.items()}


def _place(figure: Figure, names: Mapping[str, str], conditions: Mapping[str, Condition]) -> str:
    """Say where a figure is worst, areas by id and, where they have one, by name."""
    parts = [f"{name} {conditions[name].text(v)}" for name, v in figure.hyper.items()]
    parts += [i if names.get(i, i) == i else f"{names[i]} ({i})" for i in figure.areas]
    return ", ".join(parts)


def _process(info: BundleInfo) -> str:
    if info.process.function is not None:
        return f"function ({info.process.function.path})"
    return " ".join(filter(None, [info.process.kind.upper(), info.process.kernel]))


def _hyperparameters(info: BundleInfo) -> list[str]:
    free = [
        f"{c.name} ~ {c.distribution}, {c.to_condition().span}" for c in info.process.hyperprior
    ]
    return free + [f"{name} = {value:.4g}, fixed" for name, value in info.process.fixed.items()]


def _number(value: float | None) -> str:
    """Return a number as people read it, or a dash for none."""
    if value is None:
        return "–"
    if abs(value - 1) < 1e-3:
        return f"{value:.5f}".rstrip("0").rstrip(".") if value != 1 else "1"
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.4g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
