"""`priorvae train`: from a configuration to a certified bundle."""

from pathlib import Path
from typing import Annotated

import typer

from priorvae.cli.progress import show_progress

__all__ = ["train"]


def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration of the run.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key, as a.b=value; repeatable."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory, new or empty; else runs/NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the directory.")
    ] = False,
) -> None:
    """Train a prior, certify it, and write its bundle and report."""
    from priorvae.config import load_config
    from priorvae.pipeline import train_run

    settings = load_config(config, set_ or [])
    directory = out or Path("runs") / settings.name
    with show_progress() as listener:
        run = train_run(
            settings,
            out=directory,
            resume=resume,
            listener=listener,
            explain=lambda choice: typer.echo(choice.text()),
        )
    certificate = run.evaluation.certificate
    typer.echo(f"certificate  {certificate.summary()}")
    typer.echo(f"bundle       {directory / 'bundle'}")
    typer.echo(f"report       {directory / 'report.html'}")
    if not certificate.passed:
        raise typer.Exit(1)
