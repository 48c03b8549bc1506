"""`priorvae simulate`: draws of a configuration's process, without training."""

from pathlib import Path
from typing import Annotated

import typer

from priorvae.cli.progress import show_progress

__all__ = ["simulate"]


def simulate(
    config: Annotated[Path, typer.Argument(help="YAML configuration of the run.")],
    draws: Annotated[int, typer.Option(min=1, help="Number of draws.")],
    out: Annotated[Path, typer.Option(help="File to write, .npz or .zarr; must not exist.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key, as a.b=value; repeatable."
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="How draws are made; that of the configuration, or auto, by default."),
    ] = None,
) -> None:
    """Draw from the prior: arrays draws (draw, area), one per hyperparameter, and area_ids."""
    from priorvae.config import load_config
    from priorvae.pipeline import simulate_draws

    settings = load_config(config, set_ or [])
    with show_progress() as listener:
        used = simulate_draws(
            settings, num_draws=draws, out=out, sampler=sampler, listener=listener
        )
    typer.echo(f"sampler  {used.name}, relative error of the root {used.error:.1e}")
    typer.echo(f"draws    {out}")
