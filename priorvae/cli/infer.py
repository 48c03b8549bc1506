"""`priorvae infer`: a regression with a bundle as its spatial prior."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from priorvae.bundles import Bundle
    from priorvae.inference import Correction, Fit

__all__ = ["infer", "print_correction", "print_fit"]


class FamilyName(StrEnum):
    """Distributions of the response."""

    poisson = "poisson"
    binomial = "binomial"


def infer(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")],
    data: Annotated[
        str,
        typer.Option(metavar="FILE", help="CSV, TSV or boundary file, or builtin:NAME."),
    ],
    formula: Annotated[
        str,
        typer.Option(
            metavar="F",
            help="'deaths ~ x + offset(log(births))', or 'cases | trials(n) ~ x'.",
        ),
    ],
    family: Annotated[FamilyName, typer.Option(help="Distribution of the response.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory to write; new, or empty.")],
    id: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The data's column of area ids."),
    ] = None,
    areas: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Boundary file for the map. [default: what is at hand]"),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Fix a hyperparameter, as lengthscale=80 or kernel=rbf; repeatable.",
        ),
    ] = None,
    chains: Annotated[int, typer.Option(min=1, help="Chains.")] = 4,
    warmup: Annotated[int, typer.Option(min=1, help="Warm-up draws per chain.")] = 1000,
    samples: Annotated[int, typer.Option(min=4, help="Draws kept per chain.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler.")] = 1,
    exact: Annotated[
        bool, typer.Option("--exact", help="Use the exact process in place of the decoder.")
    ] = False,
    correct: Annotated[
        bool,
        typer.Option(
            "--correct",
            help="Correct the decoder's posterior to the exact one by importance weights.",
        ),
    ] = False,
) -> None:
    """Fit a regression with a spatial effect: tables, a map and the draws.

    Exit code 1 if --correct was asked for, and the weights cannot be relied on.
    """
    import sys

    from rich.console import Console

    from priorvae.bundles import load_bundle
    from priorvae.inference import infer as run
    from priorvae.inference.output import check_out

    check_out(out)
    loaded = load_bundle(bundle)
    if not exact:  # the process itself needs no certificate
        _warn_uncertified(loaded)
    fit = run(
        bundle=loaded,
        data=data,
        formula=formula,
        family=family.value,
        out=out,
        id=id,
        areas=areas,
        conditions=_conditions(condition or []),
        num_chains=chains,
        num_warmup=warmup,
        num_samples=samples,
        seed=seed,
        exact=exact,
        correct=correct,
        progress=sys.stderr.isatty(),
    )
    console = Console()
    print_fit(fit, console)
    if fit.correction is not None:
        print_correction(fit.correction, fit.data.measure, console)
    console.print(f"\nWritten to {out}", highlight=False, soft_wrap=True)
    if fit.correction is not None and not fit.correction.applied:
        raise typer.Exit(1)


def _warn_uncertified(bundle: "Bundle") -> None:
    """Say on stderr, before anything is sampled, that a bundle is not what it stands for."""
    from priorvae.bundles import uncertified

    why = uncertified(bundle.info)
    if why:
        typer.secho("warning: ", fg=typer.colors.YELLOW, bold=True, err=True, nl=False)
        typer.echo(f"{bundle.path}: {why}\n  Compare with --exact before you trust it", err=True)


def _conditions(texts: list[str]) -> dict[str, float | str]:
    """Read `NAME=VALUE`s: a number where the value is one, else a label."""
    from priorvae.errors import InputError

    found: dict[str, float | str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator and value):
            raise InputError(f"--condition {text}: expected NAME=VALUE, such as lengthscale=80")
        if name in found:
            raise InputError(f"--condition {text}: {name} is given twice")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def print_fit(fit: "Fit", console: "Console") -> None:
    """Print a fit: its parameters, its extreme areas, its diagnostics and what to distrust."""
    from priorvae.inference import area_table, parameter_table

    title = f"{fit.data.formula.text}, {fit.data.family.name}, {len(fit.data.area_ids)} areas"
    console.print(title, style="bold", highlight=False)
    _print_table(parameter_table(fit), console)
    _print_areas(area_table(fit), fit.data.measure, console)
    checks = fit.diagnostics
    console.print(
        f"{checks.num_chains} chains of {checks.num_draws} draws in {checks.seconds:.1f} s: "
        f"R-hat at most {checks.max_rhat:.3f}, effective sample size at least "
        f"{min(checks.min_ess_bulk, checks.min_ess_tail):.0f}, {checks.divergences} divergences, "
        f"E-BFMI at least {checks.min_ebfmi:.2f}, {checks.mean_leapfrogs:.0f} gradients a draw",
        highlight=False,
    )
    for warning in checks.warnings:
        console.print(f"[yellow]![/] {warning}", highlight=False)


def print_correction(correction: "Correction", measure: str, console: "Console") -> None:
    """Print what importance weights did to a posterior, or why they did nothing."""
    weights = correction.weights
    if not correction.applied:
        console.print(
            f"\n[bold red]Not corrected:[/] {weights.doubt}. These are the decoder's own draws, "
            "not the exact posterior. Use --exact, or a decoder with a better certificate",
            highlight=False,
        )
        return
    tail = "" if weights.pareto_k is None else f", Pareto k-hat {weights.pareto_k:.2f}"
    console.print(
        f"\n[bold]Corrected to the exact posterior[/]: effective fraction of the weights "
        f"{weights.fraction:.3f}{tail} (reliable up to {correction.limit:.2f}). The decoder's own "
        "posterior means were off, in posterior sds (Monte Carlo standard error), by",
        highlight=False,
    )
    shifts = {f"{measure} of area {correction.worst_area}, the most of all": correction.areas}
    for name, shift in (shifts | dict(correction.parameters)).items():
        if shift is not None:
            console.print(f"  {shift.value:+.3f} ({shift.error:.3f})  {name}", highlight=False)


def _print_table(table: "pd.DataFrame", console: "Console") -> None:
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column(str(table.index.name or ""), no_wrap=True)
    for name in table.columns:
        shown.add_column(str(name), justify="right")
    for row, values in zip(table.index, table.to_numpy(), strict=True):
        cells = (_number(v, c) for v, c in zip(values, table.columns, strict=True))
        shown.add_row(str(row), *cells)
    console.print(shown)


def _number(value: float, column: str) -> str:
    if column == "rhat":
        return f"{value:.3f}"
    return f"{value:.0f}" if column.startswith("ess") else f"{value:.3g}"


def _print_areas(table: "pd.DataFrame", measure: str, console: "Console") -> None:
    """Say in one line where the mapped quantity is lowest and highest."""
    order = table.sort_values(f"{measure}_mean")
    said = []
    for which, row in (("lowest", order.iloc[0]), ("highest", order.iloc[-1])):
        mean, low, high = (f"{row[f'{measure}_{s}']:.3g}" for s in ("mean", "q2.5", "q97.5"))
        said.append(f"{which} in {row.name} ({mean}, 95 % interval {low} to {high})")
    console.print(f"{measure}: {'; '.join(said)}", highlight=False)
