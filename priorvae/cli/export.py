"""`priorvae export`: a bundle for Stan, for brms, or as one NumPyro file."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    to: Annotated[str, typer.Option(help="Engine: stan, brms or numpyro.")],
    out: Annotated[Path, typer.Option(help="Directory to write; must not exist, or be empty.")],
    family: Annotated[
        str,
        typer.Option(
            help="Of the data in Stan's example: poisson, binomial, negative-binomial, gaussian."
        ),
    ] = "poisson",
    allow_uncertified: Annotated[
        bool,
        typer.Option("--allow-uncertified", help="Export a bundle whose certificate failed, too."),
    ] = False,
) -> None:
    """Write what another engine needs of a bundle."""
    from priorvae.bundles import load_bundle
    from priorvae.export import export_bundle
    from priorvae.export.engines import note_for

    loaded = load_bundle(bundle)
    files = export_bundle(
        bundle=loaded, to=to, out=out, family=family, allow_uncertified=allow_uncertified
    )
    for file in files:
        typer.echo(file)
    note = note_for(loaded, to)
    if not note.efficient:
        typer.echo(f"warning: slow in {to}: {note.note}", err=True)
