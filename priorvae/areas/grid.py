"""Regular grids of 1 km cells: the line and the square of the papers' examples."""

import re

import geopandas as gpd
import numpy as np
import shapely

from priorvae.areas.boundaries import Boundaries
from priorvae.areas.types import Provenance
from priorvae.errors import AreasError

__all__ = ["LARGEST", "PREFIX", "read_grid"]

PREFIX = "grid:"
LARGEST = 100_000


def read_grid(text: str) -> Boundaries:
    """Return the cells of `grid:N` (a line) or `grid:RxC` (rows x columns, row 1 at the top).

    Cells of a line are called 1, 2, ...; those of a rectangle r1c1, r1c2, ....

    Raises:
        AreasError: The text is neither form, or asks for fewer than 3 or too many cells.
    """
    source = PREFIX + text
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if not found:
        raise AreasError(f"{source}: expected grid:N or grid:ROWSxCOLUMNS, such as grid:15x10")
    rows, columns = (int(found[1]), int(found[2])) if found[2] else (1, int(found[1]))
    if not 3 <= rows * columns <= LARGEST:
        raise AreasError(
            f"{source}: a grid needs between 3 and {LARGEST} cells, got {rows * columns}"
        )
    row, column = np.divmod(np.arange(rows * columns), columns)
    cells = shapely.box(column, rows - 1 - row, column + 1, rows - row)
    pairs = zip(row + 1, column + 1, strict=True)
    ids = [f"r{r}c{c}" if found[2] else f"{c}" for r, c in pairs]
    frame = gpd.GeoDataFrame({"id": ids}, geometry=cells)
    return Boundaries(frame, Provenance(source), id="id", crs="local:km")
