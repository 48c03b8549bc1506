"""`priorvae evaluate`: can this bundle stand in for its prior?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from priorvae.evaluation.certificate import Certificate

__all__ = ["certificate_table", "evaluate"]


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for evaluation.json and report.html; else evaluation/NAME."),
    ] = None,
    posterior: Annotated[
        bool,
        typer.Option(help="Compare posteriors with exact ones, and calibrate, as the bundle asks."),
    ] = True,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the draws; else the bundle's own.")
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Import this function of yours, which the bundle stands for.",
        ),
    ] = None,
) -> None:
    """Hold a bundle against its exact process, and write the figures and a report.

    Exit code 1 if a figure misses its threshold.
    """
    from rich.console import Console

    from priorvae.pipeline import evaluate_path

    directory = out or Path("evaluation") / _name(bundle)
    console = Console()
    with console.status("Evaluating ..."):
        result = evaluate_path(
            bundle=bundle, out=directory, posterior=posterior, seed=seed, function=function
        )
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
