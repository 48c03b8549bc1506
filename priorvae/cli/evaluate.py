"""`priorvae evaluate`: can this bundle stand in for its prior?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from priorvae.areas import Areas
    from priorvae.bundles import Bundle
    from priorvae.config import CertificateConfig
    from priorvae.evaluation.certificate import Certificate
    from priorvae.evaluation.document import Evaluation

__all__ = ["certificate_table", "evaluate", "evaluate_path", "map_of"]


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for evaluation.json and report.html; else evaluation/NAME."),
    ] = None,
    posterior: Annotated[
        bool,
        typer.Option(help="Compare posteriors with exact inference on the data the bundle names."),
    ] = True,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the draws; else the bundle's own.")
    ] = None,
) -> None:
    """Hold a bundle against its exact process, and write the figures and a report.

    Exit code 1 if a figure misses its threshold.
    """
    from rich.console import Console

    directory = out or Path("evaluation") / _name(bundle)
    console = Console()
    with console.status("Evaluating ..."):
        result = evaluate_path(bundle=bundle, out=directory, posterior=posterior, seed=seed)
    certificate = result.certificate
    console.print(certificate_table(certificate))
    console.print(certificate.summary(), markup=False, highlight=False, soft_wrap=True)
    typer.echo(f"report  {directory / 'report.html'}")
    if not certificate.passed:
        raise typer.Exit(1)


def _name(bundle: Path) -> str:
    """Return the name of a bundle's directory, or of the run it lies in."""
    path = bundle.resolve()
    return path.parent.name if path.name == "bundle" else path.name


def evaluate_path(
    *,
    bundle: str | Path,
    out: str | Path,
    posterior: bool = True,
    seed: int | None = None,
) -> "Evaluation":
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
    from priorvae.bundles import load_bundle
    from priorvae.evaluation.evaluate import evaluate_bundle

    out = Path(out)
    _check_out(out)
    loaded = load_bundle(bundle)
    config = _thresholds(loaded)
    if not posterior:
        config = config.model_copy(update={"posterior": None})
    result = evaluate_bundle(loaded, config, seed=loaded.info.seed if seed is None else seed)
    _write(out, result, loaded)
    return result


def _thresholds(bundle: "Bundle") -> "CertificateConfig":
    import pydantic

    from priorvae.config import CertificateConfig
    from priorvae.errors import BundleError

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
    from priorvae.errors import InputError

    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give a directory for the evaluation as --out")
    held = [name for name in ("evaluation.json", "report.html") if (out / name).exists()]
    if held:
        raise InputError(
            f"{out}: holds {' and '.join(held)} already, and nothing is overwritten; choose "
            "another --out"
        )


def _write(out: Path, evaluation: "Evaluation", bundle: "Bundle") -> None:
    """Write `evaluation.json` and `report.html` into a directory."""
    from priorvae.environment import device_name
    from priorvae.evaluation.document import to_json
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


def map_of(bundle: "Bundle") -> "Areas":
    """Return the bundle's map, with polygons if its source is at hand and has the same areas."""
    from dataclasses import replace

    from priorvae.areas import read_areas
    from priorvae.errors import AreasError

    try:
        areas = read_areas(bundle.info.boundary.source)
    except (AreasError, OSError):
        return bundle.areas
    same = areas.ids == bundle.area_ids
    return replace(bundle.areas, geometry=areas.geometry) if same else bundle.areas


def certificate_table(certificate: "Certificate") -> "Table":
    """Return the figures against their thresholds as a table for the terminal."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Certificate", title_justify="left")
    for column in ("figure", "value", "required", "worst at", ""):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in certificate.figures:
        verdict = "[green]passed[/]" if figure.passed else "[bold red]FAILED[/]"
        row = (figure.label, f"{figure.value:.4g}", figure.bounds, figure.place)
        table.add_row(*map(escape, row), verdict)
    return table
