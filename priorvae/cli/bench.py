"""`priorvae bench`: this package and its rivals, measured side by side in one run."""

from pathlib import Path
from typing import Annotated

import typer

from priorvae.cli.progress import show_progress

__all__ = ["app"]

app = typer.Typer(name="bench", help="Measure, side by side in one run.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure, side by side in one run."""


@app.command()
def simulate(
    areas: Annotated[
        list[int] | None, typer.Option(min=4, help="Number of areas; repeatable [159, 500].")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write; must not exist.")] = None,
) -> None:
    """Draws per CPU second, against a fresh Cholesky factorisation for each draw."""
    import json

    from priorvae.errors import InputError
    from priorvae.pipeline import bench_simulate

    if out is not None and out.exists():
        raise InputError(f"{out}: exists, and nothing is overwritten; choose another --out")
    with show_progress() as listener:
        timings = bench_simulate(areas or (159, 500), listener=listener)
    typer.echo("| process | areas | sampler | set-up, s | draws/s | Cholesky, draws/s | ratio |")
    typer.echo("|---|---|---|---|---|---|---|")
    for t in timings:
        rates = f"{t.draws_per_second:.0f} | {t.cholesky_per_second:.1f} | {t.ratio:.0f}"
        typer.echo(f"| {t.process} | {t.areas} | {t.sampler} | {t.setup_seconds:.1f} | {rates} |")
    if out is not None:
        rows = [{**t._asdict(), "ratio": t.ratio} for t in timings]
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
