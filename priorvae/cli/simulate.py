"""`priorvae simulate`: draws of a configuration's process, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate"]


def simulate(
    config: Annotated[Path, typer.Argument(help="YAML configuration of the run.")],
    draws: Annotated[int, typer.Option(min=1, help="Number of draws.")],
    out: Annotated[Path, typer.Option(help="File to write, .npz; must not exist.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key, as a.b=value; repeatable."
        ),
    ] = None,
) -> None:
    """Draw from the prior: arrays draws (draw, area), one per hyperparameter, and area_ids."""
    from priorvae.config import load_config
    from priorvae.pipeline import simulate_draws

    simulate_draws(load_config(config, set_ or []), num_draws=draws, out=out)
    typer.echo(f"{draws} draws  {out}")
