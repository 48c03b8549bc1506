"""Small maps that the tests of this room share."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
import shapely

MakeMap = Callable[..., gpd.GeoDataFrame]


@pytest.fixture
def squares() -> MakeMap:
    """Make a map of unit squares at given corners, scaled and placed in UTM zone 17 north."""

    def make(
        corners: list[tuple[float, float]],
        side: float = 1000.0,
        crs: str | None = "EPSG:32617",
        origin: tuple[float, float] = (500_000.0, 4_000_000.0),
    ) -> gpd.GeoDataFrame:
        boxes = [
            shapely.box(
                origin[0] + x * side,
                origin[1] + y * side,
                origin[0] + (x + 1) * side,
                origin[1] + (y + 1) * side,
            )
            for x, y in corners
        ]
        ids = [f"a{k}" for k in range(len(boxes))]
        return gpd.GeoDataFrame({"id": ids, "name": ids}, geometry=boxes, crs=crs)

    return make


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[gpd.GeoDataFrame], Path]:
    """Write a map as GeoPackage and return its path."""

    def save(frame: gpd.GeoDataFrame) -> Path:
        path = tmp_path / "map.gpkg"
        frame.to_file(path, layer="map")
        return path

    return save
