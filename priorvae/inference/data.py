"""Tables of data, joined to areas by identifier and never by position."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from priorvae.areas.boundaries import SUFFIXES
from priorvae.areas.ids import as_text
from priorvae.errors import DataError, nearest, preview

__all__ = ["join_by_id", "normalise_id", "read_table"]

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


def read_table(source: str | Path, *, id: str | None = None) -> tuple[pd.DataFrame, str]:
    """Read a table of data and the name of its column of area ids.

    Args:
        source: A CSV or TSV file, the attributes of a boundary file, or `builtin:NAME`.
        id: Column of area ids; a built-in knows its own.

    Returns:
        The table, and the id column's name.

    Raises:
        DataError: The file is missing, cannot be read, is empty, or has no such column.
    """
    if str(source).startswith("builtin:"):
        return _read_builtin(str(source), id)
    if id is None:
        raise DataError(f"{source}: say which column holds the area ids (--id COLUMN)")
    table = _read_file(Path(source), id)
    table.columns = table.columns.map(str)
    if table.empty:
        raise DataError(f"{source}: the table has no rows")
    return table, _require_column(table, id, str(source))


def join_by_id(
    table: pd.DataFrame, id: str, area_ids: Sequence[str], source: str | Path = "data"
) -> pd.DataFrame:
    """Return the table's rows in the order of the areas, indexed by area id.

    Ids are compared as text, after `normalise_id`.

    Args:
        table: One row per area, in any order.
        id: Its column of area ids.
        area_ids: The areas, in the order of the spatial prior.
        source: Where the table came from, for messages.

    Raises:
        DataError: Ids are empty, repeated, unknown, or missing; all are listed, and nothing is
            dropped or filled in.
    """
    keys = table[id].map(normalise_id)
    _check_ids(keys, list(area_ids), f"{source}, column {id!r}")
    joined = table.set_axis(pd.Index(keys, name="area"), axis=0)
    ordered = joined.loc[[normalise_id(area) for area in area_ids]]
    return ordered.set_axis(pd.Index(area_ids, name="area"), axis=0)


def normalise_id(value: object) -> str:
    """Return an id as text: `37009`, `37009.0` and `' 37009 '` are the same area; NaN is empty."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", as_text(value))


def _check_ids(keys: pd.Series, area_ids: list[str], where: str) -> None:
    areas = {normalise_id(area) for area in area_ids}
    problems = {
        "rows without an id (row numbers from 1)": [i + 1 for i, k in enumerate(keys) if not k],
        "ids that appear more than once": sorted(set(keys[keys.duplicated()]) - {""}),
        "ids that are not areas of the prior": sorted(set(keys) - areas - {""}),
        "areas of the prior without a row": sorted(areas - set(keys)),
    }
    found = [f"{len(ids)} {what}: {preview(ids, 10)}" for what, ids in problems.items() if ids]
    if found:
        raise DataError(
            f"{where}: rows and areas must match one to one, but there are "
            + "; ".join(found)
            + _hint(set(keys), areas)
        )


def _hint(keys: set[str], areas: set[str]) -> str:
    if not keys & areas:
        if {key.lstrip("0") for key in keys} & {area.lstrip("0") for area in areas}:
            return ". The ids differ in leading zeros: were they read as numbers?"
        return f". No id matches (the prior's are like {preview(sorted(areas), 3)}): right column?"
    return ""


def _require_column(table: pd.DataFrame, id: str, source: str) -> str:
    if id not in table.columns:
        raise DataError(
            f"{source}: no id column {id!r}{nearest(id, table.columns)}; "
            f"it has {preview(table.columns, 20)}"
        )
    return id


def _read_file(path: Path, id: str) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        if suffix in _SEPARATORS:
            # As text, or the leading zeros of official codes would be lost.
            return pd.read_csv(path, sep=_SEPARATORS[suffix], dtype={id: str})
        if suffix in SUFFIXES:
            import geopandas

            return pd.DataFrame(geopandas.read_file(path, ignore_geometry=True))
    # Readers raise dozens of types (OSError, ParserError, DataSourceError, UnicodeDecodeError...).
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path}: cannot be read as a table: {reason}") from None
    raise DataError(
        f"{path}: unknown kind of table {suffix!r}; "
        f"give one of {', '.join((*_SEPARATORS, *SUFFIXES))} or builtin:NAME"
    )


def _read_builtin(source: str, id: str | None) -> tuple[pd.DataFrame, str]:
    from priorvae.areas.builtin import BUILTINS, builtin_data

    table = pd.DataFrame(builtin_data(source)).drop(columns="geometry")
    column = id or BUILTINS[source.removeprefix("builtin:")].id
    return table, _require_column(table, column, source)
