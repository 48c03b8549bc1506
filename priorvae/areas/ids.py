"""Identifiers: which column holds them, how they are written, and that each area has its own."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from priorvae.errors import AreasError, nearest, preview

__all__ = ["area_ids", "area_names", "as_text", "id_column", "name_column", "require_unique"]

# Compared in lower case and without underscores.
USUAL_IDS = ("id", "areaid", "areacode", "geoid", "shapeid", "fips", "fipsno", "geocode", "code")
USUAL_NAMES = ("name", "areaname", "shapename")


def as_text(value: object) -> str:
    """Return an identifier as text: 37009.0 gives `37009`, a missing value an empty string."""
    if value is None or bool(pd.isna(value)):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def id_column(frame: pd.DataFrame, wanted: str | None, source: str) -> str:
    """Return the column that identifies the areas.

    Args:
        frame: Attributes of the areas, one row each.
        wanted: The column the user named; None looks for exactly one column of a usual name
            (`id`, `area_id`, `GEOID`, `shapeID`, `FIPS`, ...), where there are several for
            exactly one whose values are all different.
        source: Where the attributes came from, for messages.

    Raises:
        AreasError: The column is not there, or none or several could be meant.
    """
    columns = attribute_columns(frame)
    if wanted is not None:
        if wanted not in columns:
            raise AreasError(
                f"{source}: no column {wanted!r} to identify the areas{nearest(wanted, columns)}; "
                f"the columns are: {preview(columns, 20) or 'none'}"
            )
        return wanted
    unique = [column for column in columns if _identifies(frame[column])]
    usual = [column for column in columns if _plain(column) in USUAL_IDS]
    if len(usual) > 1:
        usual = [column for column in usual if column in unique]
    if len(usual) == 1:
        return usual[0]
    found = f"several could be meant: {preview(usual)}" if usual else "none has a usual name"
    raise AreasError(
        f"{source}: which column identifies the areas? {found}; name one with id (--id). "
        f"Columns whose values are all different: {preview(unique, 20) or 'none'}"
    )


def name_column(frame: pd.DataFrame, wanted: str | None, source: str) -> str | None:
    """Return the column of names for people: the one wanted, the one of a usual name, or None.

    Raises:
        AreasError: The column wanted is not there.
    """
    columns = attribute_columns(frame)
    if wanted is not None and wanted not in columns:
        raise AreasError(
            f"{source}: no column {wanted!r} to name the areas{nearest(wanted, columns)}; "
            f"the columns are: {preview(columns, 20) or 'none'}"
        )
    usual = [column for column in columns if _plain(column) in USUAL_NAMES]
    return wanted if wanted is not None or len(usual) != 1 else usual[0]


def area_ids(frame: pd.DataFrame, column: str, source: str) -> tuple[str, ...]:
    """Return the ids in a column, in row order.

    Raises:
        AreasError: An id is missing or appears twice; the message lists the rows, from 1.
    """
    ids = [as_text(value) for value in frame[column]]
    missing = [row for row, text in enumerate(ids, 1) if not text]
    if missing:
        raise AreasError(
            f"{source}: column {column!r} has no id in row {preview(missing)} of {len(ids)} "
            "(rows count from 1); every area needs one"
        )
    require_unique(ids, f"{source}: column {column!r}")
    return tuple(ids)


def area_names(frame: pd.DataFrame, column: str | None, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name for every area: from the column, or the id where that has none."""
    if column is None:
        return ids
    names = [as_text(value) for value in frame[column]]
    return tuple(name or id for name, id in zip(names, ids, strict=True))


def require_unique(ids: Iterable[str], where: str) -> None:
    """Raise AreasError if an id repeats, with the rows (from 1) that hold it."""
    ids = list(ids)
    counts = Counter(ids)
    repeated = [
        f"{id!r} in rows {preview(row for row, other in enumerate(ids, 1) if other == id)}"
        for id, count in counts.items()
        if count > 1
    ]
    if repeated:
        raise AreasError(
            f"{where} repeats an id: {preview(repeated)}; area ids must be unique. Merge the "
            "parts of one area into one feature, or choose another id column"
        )


def attribute_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that are not the geometry."""
    geometry = getattr(frame, "_geometry_column_name", None)
    return [str(column) for column in frame.columns if column != geometry]


def _plain(column: str) -> str:
    return column.lower().replace("_", "")


def _identifies(values: pd.Series) -> bool:
    texts = [as_text(value) for value in values]
    return all(texts) and len(set(texts)) == len(texts)
