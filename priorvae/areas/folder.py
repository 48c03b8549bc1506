"""A folder with `areas.csv` and `edges.csv`: the tables a bundle holds, read back as a map."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from priorvae.areas.adjacency import Graph, read_edges
from priorvae.areas.checksum import sha256_of
from priorvae.areas.ids import area_ids, area_names, id_column, name_column
from priorvae.areas.types import Provenance
from priorvae.errors import AreasError

__all__ = ["AREAS_FILE", "EDGES_FILE", "Tables", "read_folder"]

AREAS_FILE, EDGES_FILE = "areas.csv", "edges.csv"


class Tables(NamedTuple):
    """What the two tables say.

    Attributes:
        graph: Ids in the order of `areas.csv`, and their neighbours.
        names: A name for every area.
        centroids: `(area, 2)` in km from the columns `x_km` and `y_km`, or None without them.
        id_column: Column of the ids.
        name_column: Column of the names, if any.
        provenance: The folder and the checksum of both files.
    """

    graph: Graph
    names: tuple[str, ...]
    centroids: np.ndarray | None
    id_column: str
    name_column: str | None
    provenance: Provenance


def read_folder(path: Path, id: str | None, name: str | None) -> Tables:
    """Read the tables `areas.csv` (id, name, x_km, y_km) and `edges.csv` (from, to, kind).

    Raises:
        AreasError: A file or column is missing, or an edge names an unknown area.
    """
    files = [path / AREAS_FILE, path / EDGES_FILE]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise AreasError(
            f"{path}: a folder is read as a map when it holds {AREAS_FILE} and {EDGES_FILE}; "
            f"missing: {', '.join(missing)}"
        )
    source = str(files[0])
    try:
        frame = pd.read_csv(files[0], dtype=str)
    except (ValueError, UnicodeDecodeError) as error:
        raise AreasError(f"{source}: cannot be read as a CSV table ({error})") from error
    column = id_column(frame, id, source)
    label = name_column(frame, name, source)
    ids = area_ids(frame, column, source)
    return Tables(
        graph=read_edges(files[1], ids),
        names=area_names(frame, label, ids),
        centroids=_centroids(frame, source),
        id_column=column,
        name_column=label,
        provenance=Provenance(source=str(path), sha256=sha256_of(files)),
    )


def _centroids(frame: pd.DataFrame, source: str) -> np.ndarray | None:
    if not {"x_km", "y_km"} <= set(frame.columns):
        return None
    try:
        centroids = frame[["x_km", "y_km"]].astype(float).to_numpy()
    except ValueError as error:
        raise AreasError(f"{source}: x_km and y_km must be numbers ({error})") from error
    if not np.isfinite(centroids).all():
        raise AreasError(f"{source}: x_km and y_km must be given for every area")
    return centroids
