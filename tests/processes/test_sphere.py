"""Distances on the sphere, and which kernels of them are covariances."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest

from priorvae.areas import read_areas
from priorvae.config import GPConfig
from priorvae.errors import ProcessError
from priorvae.processes import GP, build_process
from priorvae.processes.gp import VALID
from priorvae.processes.kernels import KERNELS, Separation
from priorvae.processes.sphere import (
    EARTH_RADIUS_KM,
    chordal_distances,
    great_circle_distances,
    longitude_latitude,
)
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 100.0, "high": 5000.0, "unit": "km"}


def anywhere(seed: int, num: int = 300) -> np.ndarray:
    """Longitudes and latitudes spread evenly over the sphere."""
    rng = np.random.default_rng(seed)
    sine = rng.uniform(-1, 1, num)
    return np.column_stack([rng.uniform(-180, 180, num), np.degrees(np.arcsin(sine))])


def test_great_circles_are_geodesics_of_the_sphere() -> None:
    degrees = anywhere(0, 40)
    geod = pyproj.Geod(a=1000 * EARTH_RADIUS_KM, b=1000 * EARTH_RADIUS_KM)
    i, j = np.triu_indices(40, 1)
    metres = geod.inv(*degrees[i].T, *degrees[j].T)[2]
    ours = great_circle_distances(degrees)
    np.testing.assert_allclose(ours[i, j], metres / 1000, rtol=1e-9)
    chord = 2 * EARTH_RADIUS_KM * np.sin(ours / (2 * EARTH_RADIUS_KM))
    np.testing.assert_allclose(chordal_distances(degrees), chord, atol=1e-6)


@pytest.mark.parametrize(("west", "width"), [(-80.0, 4.0), (10.0, 60.0), (165.0, 40.0)])
def test_places_are_recovered_from_the_projected_map(
    tmp_path: Path, west: float, width: float
) -> None:
    """One UTM zone, an equal-area projection, and a map across the antimeridian."""
    rng = np.random.default_rng(3)
    longitude = (west + rng.uniform(0, width, 12) + 180) % 360 - 180
    latitude = rng.uniform(-20, 30, 12)
    places = gpd.GeoDataFrame(
        {"id": [f"p{i}" for i in range(12)]},
        geometry=gpd.points_from_xy(longitude, latitude),
        crs="EPSG:4326",
    )
    places.to_file(tmp_path / "places.gpkg")
    areas = read_areas(tmp_path / "places.gpkg", id="id")
    found = longitude_latitude(areas)
    np.testing.assert_allclose((found[:, 0] - longitude + 180) % 360 - 180, 0, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], latitude, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("distance", ["great-circle", "chordal"])
def test_what_is_called_valid_is_positive_definite(distance: str, seed: int) -> None:
    degrees = anywhere(seed)
    distances = {"great-circle": great_circle_distances, "chordal": chordal_distances}
    apart = Separation(distances[distance](degrees))
    for name in VALID[distance]:
        for scale in (200.0, 5000.0, 40_000.0):
            values = KERNELS[name](apart, {"lengthscale": scale, "shape": 0.5})
            assert np.linalg.eigvalsh(values)[0] > -1e-11


@pytest.mark.parametrize("name", ["rbf", "matern32", "matern52", "rational-quadratic"])
def test_what_is_refused_is_not(name: str) -> None:
    """Gneiting (2013): on great circles these have negative eigenvalues, far beyond rounding."""
    apart = Separation(great_circle_distances(anywhere(0)))
    values = KERNELS[name](apart, {"lengthscale": 10_000.0, "shape": 2.0})
    assert np.linalg.eigvalsh(values)[0] < -1e-4


def _config(**changes: object) -> GPConfig:
    return GPConfig(**{"kind": "gp", "kernel": "matern12", "lengthscale": LENGTHSCALE, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", ["rbf", "matern32", "matern52"])
def test_invalid_combinations_are_refused(kernel: str) -> None:
    sids = read_areas("builtin:sids2")
    with pytest.raises(ProcessError, match=rf"{kernel} of great-circle .*Gneiting 2013") as caught:
        build_process(_config(kernel=kernel, distance="great-circle"), sids)
    assert str(caught.value).endswith("`distance: great-circle`: matern12")
    assert "`distance: chordal`: rbf, matern12, matern32" in str(caught.value)
    build_process(_config(kernel=kernel, distance="chordal"), sids)


def test_planes_kernels_are_refused_on_the_sphere() -> None:
    sids = read_areas("builtin:sids2")
    one = {"distribution": "constant", "value": 1.0}
    periodic = {"lengthscale": one, "period": {**one, "unit": "km"}}
    with pytest.raises(ProcessError, match="periodic is a function of coordinates on a plane"):
        build_process(_config(kernel="periodic", distance="chordal", **periodic), sids)
    with pytest.raises(ProcessError, match="one direction on a plane"):
        build_process(_config(distance="chordal", anisotropy={"ratio": one, "angle": one}), sids)


@pytest.mark.parametrize("distance", ["great-circle", "chordal"])
def test_a_map_of_nowhere_has_no_sphere(distance: str) -> None:
    with pytest.raises(ProcessError, match=r"lattice has 'none'; give the map's crs"):
        build_process(_config(distance=distance), lattice(3, 3))
    with pytest.raises(ProcessError, match=r"grid:3x3 has 'local"):
        build_process(_config(distance=distance), read_areas("grid:3x3"))


def test_on_a_small_map_all_distances_agree() -> None:
    """North Carolina: chords and arcs alike; the plane within the scale of UTM and the sphere."""
    sids = read_areas("builtin:sids2")
    flat, arc, chord = (
        GP(sids, "matern12", (), {"lengthscale": 100.0}, distance=distance).distances
        for distance in ("euclidean", "great-circle", "chordal")
    )
    np.testing.assert_allclose(arc, flat, rtol=0.005)
    np.testing.assert_allclose(arc, chord, rtol=1e-3)
