"""Maps that ship inside libpysal, by name: `builtin:sids2` and the like. No network."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from priorvae.areas.boundaries import Boundaries, read_boundaries
from priorvae.areas.ids import as_text
from priorvae.areas.types import Provenance
from priorvae.errors import AreasError, nearest

__all__ = ["BUILTINS", "PREFIX", "Builtin", "builtin_data", "builtin_names", "read_builtin"]

PREFIX = "builtin:"
LICENCE = "BSD-3-Clause (distributed with libpysal)"


@dataclass(frozen=True)
class Builtin:
    """A map libpysal carries, and what its files leave unsaid.

    Attributes:
        title: What the map is.
        file: The shapefile, below libpysal's `examples` folder.
        id: Column that identifies the areas.
        name: Column that names them, if any.
        crs: What the coordinates are, as found by checking them against known places.
        year: Year of the data.
        table: CSV file of further attributes, if any.
        keys: Column of the shapefile and column of the table to join them on.
    """

    title: str
    file: str
    id: str
    name: str | None
    crs: str
    year: str | None = None
    table: str | None = None
    keys: tuple[str, str] = ("", "")


BUILTINS = {
    "10740": Builtin(
        "Albuquerque, New Mexico: 195 census tracts",
        "10740/10740.shp",
        "STFID",
        None,
        "EPSG:4269",
        "2000",
    ),
    "chicago": Builtin(
        "Chicago: 77 community areas",
        "chicago/Chicago77.shp",
        "AREA_NUMBE",
        "COMMUNITY",
        "EPSG:3435",  # Illinois East in US survey feet.
    ),
    # Anselin (1988) digitised the neighbourhoods in arbitrary units, read here as km.
    "columbus": Builtin(
        "Columbus, Ohio: crime in 49 neighbourhoods",
        "columbus/columbus.shp",
        "POLYID",
        None,
        "local:km",
        "1980",
    ),
    # UTM 16 north on NAD27: with NAD83 the centroids miss the table's latitudes by 200 m.
    "georgia": Builtin(
        "Georgia, USA: 159 counties",
        "georgia/G_utm.shp",
        "AreaKey",
        None,
        "EPSG:26716",
        "1990",
        "georgia/GData_utm.csv",
        ("AreaKey", "AreaKey"),
    ),
    "mexico": Builtin(
        "Mexico: income in 32 states",
        "mexico/mexicojoin.shp",
        "CODE",
        "NAME",
        "EPSG:4326",
        "1940-2000",
    ),
    "sids2": Builtin(
        "North Carolina: sudden infant deaths in 100 counties",
        "sids2/sids2.shp",
        "FIPSNO",
        "NAME",
        "EPSG:4267",
        "1974-1984",
    ),
    "stl": Builtin(
        "Around St Louis, Missouri: homicides in 78 counties",
        "stl/stl_hom.shp",
        "FIPS",
        "NAME",
        "EPSG:4269",
        "1979-1993",
    ),
    # The .prj (Japan zone VI, Tokyo datum) puts the map where it belongs; the readme's UTM 54
    # would not.
    "tokyo": Builtin(
        "Tokyo: working-age deaths in 262 municipalities",
        "tokyo/tokyomet262.shp",
        "GEOCODE",
        "AREANAME",
        "EPSG:30166",
        "1990",
        "tokyo/Tokyomortality.csv",
        ("AreaID", "IDnum0"),
    ),
    "us48": Builtin(
        "Lower 48 states of the USA: income per head",
        "us_income/us48.shp",
        "STATE_FIPS",
        "STATE_NAME",
        "EPSG:4269",
        "1929-2009",
        "us_income/usjoin.csv",
        ("STATE_FIPS", "STATE_FIPS"),
    ),
    "virginia": Builtin(
        "Virginia, USA: 136 counties and cities",
        "virginia/virginia.shp",
        "FIPS",
        "NAME",
        "EPSG:4326",
    ),
}


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in maps."""
    return tuple(BUILTINS)


def read_builtin(name: str) -> Boundaries:
    """Read the boundaries of a built-in map.

    Raises:
        AreasError: There is no such map, or libpysal is not installed with its examples.
    """
    entry = _entry(name)
    read = read_boundaries(_examples() / entry.file)
    provenance = Provenance(PREFIX + name, LICENCE, entry.year, read.provenance.sha256)
    return Boundaries(read.frame, provenance, entry.id, entry.name, entry.crs)


def builtin_data(name: str) -> gpd.GeoDataFrame:
    """Return a built-in's attribute table, with its geometry in the coordinates of the file.

    The id column holds the same text as `read_areas("builtin:NAME").ids`, in the same order:
    `builtin_data("sids2")[["FIPSNO", "BIR79", "SID79", "NWBIR79"]]` is ready to be fitted.

    Args:
        name: With or without the prefix `builtin:`.

    Raises:
        AreasError: There is no such map, or libpysal is not installed with its examples.
    """
    name = name.removeprefix(PREFIX)
    entry, frame = _entry(name), read_builtin(name).frame
    if entry.table is not None:
        frame = _with_table(frame, pd.read_csv(_examples() / entry.table), entry.keys)
    return frame.assign(**{entry.id: [as_text(value) for value in frame[entry.id]]})


def _entry(name: str) -> Builtin:
    if name not in BUILTINS:
        raise AreasError(
            f"{PREFIX}{name}: no such built-in map{nearest(name, BUILTINS)}; "
            f"there are: {', '.join(BUILTINS)}"
        )
    return BUILTINS[name]


def _examples() -> Path:
    found = importlib.util.find_spec("libpysal")
    if found is None or not found.submodule_search_locations:
        raise AreasError("built-in maps ship inside libpysal, which is not installed")
    return Path(found.submodule_search_locations[0]) / "examples"


def _with_table(
    frame: gpd.GeoDataFrame, table: pd.DataFrame, keys: tuple[str, str]
) -> gpd.GeoDataFrame:
    """Join the table's new columns, on keys compared as whole numbers (`01` is 1)."""
    left, right = (part[key].astype(int) for part, key in zip((frame, table), keys, strict=True))
    new = [column for column in table.columns if column not in frame.columns and column != keys[1]]
    joined = table[new].set_axis(right, axis=0).loc[left].reset_index(drop=True)
    return gpd.GeoDataFrame(pd.concat([frame, joined], axis=1), geometry="geometry")
