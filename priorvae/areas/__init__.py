"""Maps: ids, centroids in km and a neighbourhood graph, from any source, as one type.

The type itself is light; what reads, checks and draws maps is imported on first use, so that a
consumer of a bundle does not pay for the geospatial stack.
"""

import importlib
from typing import TYPE_CHECKING, Any

from priorvae.areas.types import Areas, Provenance

if TYPE_CHECKING:
    from priorvae.areas.builtin import builtin_data, builtin_names
    from priorvae.areas.drawing import draw_areas, draw_polygons, save_picture
    from priorvae.areas.read import Reading, read_areas, read_map
    from priorvae.areas.summary import Summary, check_areas, summarise

__all__ = [
    "Areas",
    "Provenance",
    "Reading",
    "Summary",
    "builtin_data",
    "builtin_names",
    "check_areas",
    "draw_areas",
    "draw_polygons",
    "read_areas",
    "read_map",
    "save_picture",
    "summarise",
]

_HOME = {
    "Reading": "read",
    "Summary": "summary",
    "builtin_data": "builtin",
    "builtin_names": "builtin",
    "check_areas": "summary",
    "draw_areas": "drawing",
    "draw_polygons": "drawing",
    "read_areas": "read",
    "read_map": "read",
    "save_picture": "drawing",
    "summarise": "summary",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its file on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
