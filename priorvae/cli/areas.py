"""`priorvae areas`: what a map looks like, before training on it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from priorvae.areas import Areas, Summary

__all__ = ["app", "check", "print_summary"]

app = typer.Typer(name="areas", help="Look at maps before training on them.", no_args_is_help=True)


class Contiguity(StrEnum):
    """Which polygons are neighbours."""

    queen = "queen"
    rook = "rook"


class Islands(StrEnum):
    """What to do with separate components."""

    bridge = "bridge"
    keep = "keep"
    error = "error"


@app.callback()
def areas() -> None:
    """Look at maps before training on them."""


@app.command()
def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Boundary file, adjacency file, folder with areas.csv and edges.csv, "
            "builtin:NAME, grid:N or grid:ROWSxCOLUMNS.",
        ),
    ],
    id: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that identifies the areas.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that names the areas.")
    ] = None,
    contiguity: Annotated[
        Contiguity, typer.Option(help="Neighbours touch (queen) or share a stretch of boundary.")
    ] = Contiguity.queen,
    islands: Annotated[
        Islands, typer.Option(help="Join separate components, keep them, or refuse.")
    ] = Islands.bridge,
    snap: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="Polygons this close touch; else extent / 1e6."),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(metavar="CRS", help="What the coordinates are in: EPSG:4326, local, ..."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer of the file, where it has several.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Picture of the map; else NAME-areas.png here."),
    ] = None,
    draw: Annotated[bool, typer.Option(help="Draw the map with its graph.")] = True,
) -> None:
    """Print what a map looks like and draw it with its neighbourhood graph."""
    from rich.console import Console

    from priorvae.areas import check_areas, draw_areas, save_picture

    summary = check_areas(
        source=source,
        id=id,
        name=name,
        contiguity=contiguity.value,
        islands=islands.value,
        snap=snap,
        crs=crs,
        layer=layer,
    )
    console = Console()
    picture = out or default_picture(source)
    if draw:
        save_picture(draw_areas(summary.areas), picture)
    print_summary(summary, console)
    if draw:
        console.print(f"\nMap drawn in {picture}", markup=False, highlight=False, soft_wrap=True)


def default_picture(source: str) -> Path:
    """Return the name of the picture of a map: `sids2-areas.png` for `builtin:sids2`."""
    stem = Path(source).stem if Path(source).exists() else source.removeprefix("builtin:")
    return Path(f"{stem.replace(':', '-')}-areas.png")


def print_summary(summary: "Summary", console: "Console") -> None:
    """Print a summary as tables, and what deserves a second look."""
    from rich.text import Text

    console.print(_map_table(summary))
    console.print(_graph_table(summary))
    if summary.bridges:
        console.print(_bridge_table(summary))
    for warning in summary.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning))
    if not summary.warnings:
        console.print(Text("Nothing to worry about.", "green"))


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heading = Text(title, "bold")
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _add(table: "Table", *cells: str) -> None:
    """Add a row as it is written: a name may hold what rich reads as markup."""
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _map_table(summary: "Summary") -> "Table":
    areas, reading = summary.areas, summary.reading
    table = _table(f"Map: {areas.provenance.source}")
    _add(table, "areas", f"{len(areas)} ({reading.kind})")
    if reading.id_column:
        first = ", ".join(areas.ids[:3])
        _add(table, "id column", f"{reading.id_column} ({first}, ...)")
    if reading.name_column:
        _add(table, "name column", f"{reading.name_column} ({', '.join(areas.names[:3])}, ...)")
    if areas.crs:
        _add(table, "coordinates", _coordinates(reading.source_crs, areas.crs))
    if areas.extent is not None:
        _add(table, "extent", f"{areas.extent:,.1f} km, the longest side")
    if summary.area_km2 is not None:
        _add(table, "size of an area", _spread(summary.area_km2, "km²"))
    if summary.nearest_km is not None:
        _add(table, "nearest centroid", _spread(summary.nearest_km, "km"))
        _add(table, "lengthscales", _lengthscales(summary))
    if areas.provenance.year:
        _add(table, "year", areas.provenance.year)
    _add(table, "licence", areas.provenance.licence or "not known")
    if areas.provenance.sha256:
        _add(table, "sha256", f"{areas.provenance.sha256[:16]}...")
    return table


def _coordinates(source_crs: str | None, crs: str) -> str:
    before, after = (_crs_name(text) for text in (source_crs or crs, crs))
    return after if before == after else f"{before}, projected to {after}"


def _crs_name(text: str) -> str:
    """Return the name of a CRS with its code, or of a plane of no place on Earth."""
    if text == "local":
        return "plane coordinates (local)"
    import pyproj

    known = text if len(text) < 20 else "no code"
    return f"{pyproj.CRS.from_user_input(text).name} ({known})"


def _spread(values: "np.ndarray", unit: str) -> str:
    import numpy as np

    low, middle, high = (f"{value:,.4g}" for value in np.quantile(values, [0, 0.5, 1]))
    if low == high:
        return f"{low} {unit} everywhere"
    return f"{low} to {high} {unit}, median {middle}"


def _lengthscales(summary: "Summary") -> str:
    shortest, extent = summary.smallest_lengthscale, summary.areas.extent
    assert shortest is not None and extent is not None
    return (
        f"shortest that makes sense {shortest:.3g} km ({shortest / extent:.2g} of the extent): "
        "below the distance to the nearest centroid, most areas are independent"
    )


def _graph_table(summary: "Summary") -> "Table":
    import numpy as np

    areas, reading = summary.areas, summary.reading
    degrees = areas.degrees
    table = _table("Neighbourhood graph")
    bridges = len(summary.bridges)
    pairs = f"{len(areas.edges) - bridges} pairs of neighbours"
    plural = "" if bridges == 1 else "s"
    _add(table, "edges", f"{pairs} and {bridges} bridge{plural}" if bridges else pairs)
    if reading.snap is not None:
        _add(table, "snap", f"{reading.snap:.3g} m")
    _add(
        table,
        "neighbours",
        f"{degrees.min()} to {degrees.max()} an area, mean {degrees.mean():.2f}",
    )
    counts = np.bincount(degrees)
    for degree in np.flatnonzero(counts):
        bar = "█" * max(1, round(30 * counts[degree] / counts.max()))
        _add(table, f"{degree:>6}", f"{counts[degree]:>6}  {bar}")
    if summary.link_km is not None and len(summary.link_km):
        _add(table, "between centroids", _spread(summary.link_km, "km"))
    _add(table, "components", _components(summary))
    named = [areas.names[i] for i in summary.islands]
    _add(table, "islands", f"{len(named)}: {_preview(named)}" if named else "none")
    return table


def _components(summary: "Summary") -> str:
    sizes = summary.component_sizes
    if len(sizes) == 1:
        return "1"
    before = " before bridging" if summary.bridges else ""
    return f"{len(sizes)}{before}, of {_preview(sizes)} areas"


def _preview(items: "Iterable[object]") -> str:
    from priorvae.errors import preview

    return preview(items, 8)


def _bridge_table(summary: "Summary") -> "Table":
    from rich import box
    from rich.table import Table

    areas = summary.areas
    table = Table(title="Bridges", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("from", "to"):
        table.add_column(column)
    table.add_column("km", justify="right")
    for bridge in sorted(summary.bridges, key=lambda bridge: -bridge.km):
        ends = (_label(areas, i) for i in (bridge.first, bridge.second))
        _add(table, *ends, f"{bridge.km:,.1f}")
    return table


def _label(areas: "Areas", position: int) -> str:
    name, id = areas.names[position], areas.ids[position]
    return id if name == id else f"{name} ({id})"
