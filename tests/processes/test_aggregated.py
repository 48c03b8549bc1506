"""Aggregated processes: against integrals, by hand, and against one another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import jax
import numpy as np
import pytest
import shapely
from scipy.special import erf
from scipy.stats import multivariate_normal

from priorvae.areas import Areas, read_areas
from priorvae.areas.builtin import builtin_data
from priorvae.bundles import load_bundle
from priorvae.config import dump_config, load_config, parse_config
from priorvae.errors import AreasError, ProcessError
from priorvae.pipeline import train_run
from priorvae.pipeline.evaluation import evaluate_path
from priorvae.processes import build_process
from priorvae.processes.aggregated import Aggregated, TransformedAggregate
from priorvae.processes.build import read_process
from priorvae.processes.samplers import build_sampler

LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
MATERN = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
AMPLITUDE = {"distribution": "uniform", "low": 0.2, "high": 0.8}
GRID = "grid:3x4"
"""Squares of 1 km, 4 across and 3 down: r1c1 is [0, 1] x [2, 3]."""
Save = Callable[..., str]


def rbf(lengthscale: float) -> dict[str, Any]:
    length = {"distribution": "constant", "value": lengthscale, "unit": "km"}
    return {"kind": "gp", "kernel": "rbf", "lengthscale": length, "nugget": 1e-12}


def build(source: str | Areas = GRID, **config: Any) -> Any:
    areas = read_areas(source) if isinstance(source, str) else source
    record = {"kind": "aggregated", "of": MATERN, "cells": 48, **config}
    if "points" in record:
        del record["cells"]
    return build_process(read_process(record), areas)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write shapes of the grid's plane, in km, with columns.

    The CRS is one that `crs: local` takes no notice of.
    """

    def save(shapes: Any, **columns: Any) -> str:
        metres = shapely.transform(np.asarray(shapes), lambda xy: xy * 1000)
        path = tmp_path / f"features{len(list(tmp_path.iterdir()))}.gpkg"
        gpd.GeoDataFrame(columns, geometry=metres, crs="EPSG:32617").to_file(path)
        return str(path)

    return save


def weights(process: Any, area: str) -> dict[tuple[float, float], float]:
    """The cells of an area with their weights, by their centres in km."""
    row = process.weights[[process.areas.ids.index(area)]].tocoo()
    centres = process.fine.areas.centroids[row.col]
    return {tuple(map(float, c)): float(w) for c, w in zip(centres, row.data, strict=True)}


# Weights.


def test_whole_cells_give_the_plain_average() -> None:
    """Four cells of half a kilometre in each square."""
    quarters = {(x, y): 0.25 for x in (0.25, 0.75) for y in (2.25, 2.75)}
    assert weights(build(), "r1c1") == pytest.approx(quarters)
    assert weights(build(statistic="sum"), "r1c1") == pytest.approx(dict.fromkeys(quarters, 1.0))


def test_tiny_polygons_have_the_value_of_their_cells(save: Save) -> None:
    """Squares of 1 m beside a large one: within a cell its variance, over an edge a mean of two."""
    x, y = np.array([1.1, 2.0]), np.array([1.1, 1.1])
    tiny = shapely.box(x - 5e-4, y - 5e-4, x + 5e-4, y + 5e-4)
    source = save([shapely.box(0, 0, 4, 4), *tiny], id=["frame", "inside", "across"])
    areas = read_areas(source, crs="local", islands="keep")
    process = build(areas, of=rbf(2.0), cells=16)
    assert weights(process, "inside") == pytest.approx({(1.5, 1.5): 1.0})
    assert weights(process, "across") == pytest.approx({(1.5, 1.5): 0.5, (2.5, 1.5): 0.5}, rel=1e-3)
    variance = np.diag(process.covariance({}))
    assert variance[1] == pytest.approx(1.0, rel=1e-10)
    # Half of the variance of the sum of two values with correlation exp(-1/8).
    assert variance[2] == pytest.approx((1 + np.exp(-1 / 8)) / 2, rel=1e-6)
    summed = build(areas, of=rbf(2.0), cells=16, statistic="sum").covariance({})
    assert summed[1, 1] == pytest.approx(1e-12, rel=1e-9)


# Covariances.


def mean_of_rbf(gap: float, lengthscale: float) -> float:
    """Mean of `exp(-(x - y)^2 / 2 l^2)` over x in [0, 1] and y in [gap, gap + 1]."""

    def twice_integrated(d: float) -> float:
        u = d / (np.sqrt(2) * lengthscale)
        own = np.sqrt(np.pi / 2) * lengthscale * d * erf(u)
        return own + lengthscale**2 * np.exp(-(u**2))

    return twice_integrated(gap + 1) - 2 * twice_integrated(gap) + twice_integrated(gap - 1)


def integrated_rbf(lengthscale: float) -> np.ndarray:
    """The exact covariance of the grid's averages."""
    row, column = np.divmod(np.arange(12), 4)
    gaps = np.abs(row[:, None] - row), np.abs(column[:, None] - column)
    means = np.array([mean_of_rbf(gap, lengthscale) for gap in range(4)])
    return means[gaps[0]] * means[gaps[1]]


def test_the_covariance_approaches_the_double_integral() -> None:
    """In closed form for squares; centres of cells are a rule of second order in their side."""
    exact = integrated_rbf(1.5)
    errors = [
        np.abs(build(of=rbf(1.5), cells=cells).covariance({}) - exact).max()
        for cells in (48, 192, 768)
    ]
    # Two coordinates each add side^2 / 12 l^2, at most: here for a side of 1/2.
    assert errors[0] < 2 * 0.5**2 / (12 * 1.5**2)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_the_covariance_of_any_two_polygons(save: Save) -> None:
    """A triangle and an L against 400,000 random pairs of points: 4.5 standard errors.

    The rule's own error is 0.0005 here, measured against four times as many cells.
    """
    triangle = shapely.Polygon([(0.1, 0.2), (3.3, 0.7), (0.9, 2.9)])
    bend = shapely.Polygon([(2.2, 3.1), (5.1, 3.3), (4.9, 0.4), (6.0, 0.2), (6.2, 4.5), (2.1, 4.4)])
    source = save([triangle, bend, shapely.box(0, 5, 7, 6)], id=list("abc"))
    areas = read_areas(source, crs="local", islands="keep")
    rng, num = np.random.default_rng(1), 400_000

    def points(shape: shapely.Polygon) -> np.ndarray:
        low, high = np.reshape(shape.bounds, (2, 2))
        tried = rng.uniform(low, high, (8 * num, 2))
        return tried[shapely.contains_xy(shape, *tried.T)][:num]

    squares = ((points(triangle) - points(bend)) ** 2).sum(axis=1)
    values = np.exp(-squares / (2 * 2.0**2))
    covariance = build(areas, of=rbf(2.0), cells=1000).covariance({})
    assert abs(covariance[0, 1] - values.mean()) < 4.5 * values.std() / num**0.5 + 5e-4


def test_covariances_and_roots_agree() -> None:
    process = build("builtin:sids2", cells=150)
    assert isinstance(process, Aggregated)
    for length in (60.0, 150.0):
        hyper = {"lengthscale": length}
        exact = process.covariance(hyper)
        dense = process.weights.toarray()
        brute = dense @ process.fine.covariance(hyper) @ dense.T
        np.testing.assert_allclose(exact, brute, atol=1e-13)
        np.testing.assert_array_equal(exact, exact.T)
        np.testing.assert_allclose(process.covariance_jax(hyper), exact, atol=1e-13)
        root = process.root(hyper)
        np.testing.assert_allclose(root @ root.T, exact, atol=1e-12)
    slope = jax.jacfwd(process.covariance_jax)({"lengthscale": 100.0})["lengthscale"]
    steps = [process.covariance({"lengthscale": 100.0 + h}) for h in (-0.01, 0.01)]
    np.testing.assert_allclose(slope, (steps[1] - steps[0]) / 0.02, atol=1e-8)


# People.


def test_people_at_points_weigh_their_cells(save: Save) -> None:
    """30 and 10 in r1c1, and 5 on the corner of four squares, who count once."""
    centres = [(x + 0.5, y + 0.6) for y in (2, 1, 0) for x in range(4)][1:]
    places = [(0.1, 2.1), (0.9, 2.9), (1.0, 2.0), *centres]
    counts = [30.0, 10.0, 5.0, *range(1, 12)]
    source = save(shapely.points(places), n=counts)
    population = {"source": source, "column": "n", "crs": "local"}
    total = build(statistic="sum", population=population)
    assert total.weights.sum() == pytest.approx(sum(counts))
    mean = build(population=population)
    np.testing.assert_allclose(mean.weights.sum(axis=1), 1.0)
    # The corner is in the first of its squares, r1c1, and there in the south-east cell.
    people = {(0.25, 2.25): 30.0, (0.75, 2.25): 5.0, (0.75, 2.75): 10.0}
    assert weights(total, "r1c1") == people
    assert weights(mean, "r1c1") == pytest.approx({at: n / 45 for at, n in people.items()})


def test_people_in_polygons_are_spread_evenly(save: Save) -> None:
    """30 over the west half of r1c1; 20 over its east half and the west half of r1c2."""
    shapes = [shapely.box(0, 2, 0.5, 3), shapely.box(0.5, 2, 1.5, 3), shapely.box(0, 0, 9, 3)]
    source = save(shapes, n=[30.0, 20.0, 27.0])
    population = {"source": source, "column": "n", "crs": "local"}
    total = build(statistic="sum", population=population)
    # The third puts 1 on each square of the map, a quarter on each cell, and 15 beside the map.
    half = {(0.25, y): 15.25 for y in (2.25, 2.75)} | {(0.75, y): 5.25 for y in (2.25, 2.75)}
    assert weights(total, "r1c1") == pytest.approx(half)
    assert total.weights.sum() == pytest.approx(50 + 12)
    mean = weights(build(population=population), "r1c1")
    assert mean == pytest.approx({place: n / 41 for place, n in half.items()})


def test_people_of_another_coordinate_system() -> None:
    """Births by county, in longitude and latitude: each county's own number, from its polygon."""
    births = builtin_data("sids2")["BIR74"].to_numpy(dtype=float)
    population = {"source": "builtin:sids2", "column": "BIR74"}
    process = build("builtin:sids2", cells=300, statistic="sum", population=population)
    # Neighbours' boundaries differ by what projecting does to a straight line.
    np.testing.assert_allclose(process.weights.sum(axis=1), births, rtol=1e-3)
    assert process.weights.sum() == pytest.approx(births.sum(), rel=1e-4)


def test_cells_where_nobody_lives_are_left_out(save: Save) -> None:
    centres = [(x + 0.3, y + 0.3) for y in range(3) for x in range(4)]
    population = {"source": save(shapely.points(centres), n=np.ones(12)), "column": "n"}
    process = build(population=population | {"crs": "local"})
    assert process.weights.shape == (12, 12)
    reached = build()
    chosen = [
        list(map(tuple, reached.fine.areas.centroids)).index(tuple(c))
        for c in process.fine.areas.centroids
    ]
    hyper = {"lengthscale": 1.0}
    whole = reached.fine.covariance(hyper)[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(process.fine.covariance(hyper), whole, rtol=1e-12)


# Points.


def test_the_process_lives_on_points(save: Save) -> None:
    rng = np.random.default_rng(2)
    inside = np.array([(x, y) for y in (2, 1, 0) for x in range(4)]) + rng.uniform(0, 1, (12, 2))
    places = np.concatenate([inside, [[0.5, 2.5], [9.0, 9.0]]])
    source = save(shapely.points(places), n=np.arange(14.0) + 1)
    process = build(points={"source": source, "crs": "local"})
    # The point beside the map has no part in it.
    assert len(process.fine.areas) == 13
    assert sorted(weights(process, "r1c1").values()) == [0.5, 0.5]
    counted = build(points={"source": source, "crs": "local"}, population={"column": "n"})
    expected = {tuple(places[0]): 1 / 14, (0.5, 2.5): 13 / 14}
    assert weights(counted, "r1c1") == pytest.approx(expected)
    hyper = {"lengthscale": 1.5}
    distance = np.linalg.norm(places[1] - places[2])
    scaled = np.sqrt(3) * distance / 1.5
    matern = (1 + scaled) * np.exp(-scaled)
    assert process.covariance(hyper)[1, 2] == pytest.approx(matern, rel=1e-9)


# After a non-linearity.


def fine_draws(process: TransformedAggregate, hyper: dict[str, float], num: int) -> np.ndarray:
    """Draws by SciPy, with nothing of the samplers in them."""
    covariance = process.fine.covariance(hyper)
    normal = multivariate_normal(np.zeros(len(covariance)), covariance)
    g = hyper["amplitude"] * normal.rvs(num, random_state=np.random.default_rng(3))
    bent = np.exp(g) if process.nonlinearity == "exp" else 1 / (1 + np.exp(-g))
    return bent @ process.weights.toarray().T


def close(first: np.ndarray, second: np.ndarray, errors: float) -> bool:
    """Whether means and covariances agree within standard errors estimated from the draws."""
    fine = True
    for one, two in ((first, second), (products(first), products(second))):
        error = np.sqrt(one.var(axis=0) / len(one) + two.var(axis=0) / len(two))
        fine &= bool((np.abs(one.mean(axis=0) - two.mean(axis=0)) < errors * error).all())
    return fine


def products(draws: np.ndarray) -> np.ndarray:
    centred = draws - draws.mean(axis=0)
    rows, columns = np.triu_indices(draws.shape[1])
    return centred[:, rows] * centred[:, columns]


@pytest.mark.parametrize("sampler", ["aggregate", pytest.param("direct", marks=pytest.mark.slow)])
def test_lognormal_averages_have_the_exact_moments(sampler: str) -> None:
    """200,000 draws at amplitude 0.5: 12 means and 78 covariances within 5 standard errors.

    The standard errors of the covariances are estimated from fourth moments of the draws. Exact
    moments would be missed once in 20,000.
    """
    process = build(nonlinearity="exp", amplitude=AMPLITUDE)
    assert isinstance(process, TransformedAggregate)
    hyper, num = {"lengthscale": 1.5, "amplitude": 0.5}, 200_000
    columns = {name: np.full(num, value) for name, value in hyper.items()}
    draws = build_sampler(process, sampler).sample(jax.random.key(4), columns, num)
    exact = process.moments(hyper)
    assert exact is not None
    error = draws.std(axis=0) / num**0.5
    assert (np.abs(draws.mean(axis=0) - exact.mean) < 5 * error).all()
    each = products(draws)
    error = each.std(axis=0) / num**0.5
    expected = exact.covariance[np.triu_indices(12)]
    assert (np.abs(each.mean(axis=0) - expected) < 5 * error).all()
    # A constant log-risk would have mean exp(1/8) too, but here the variance is below its.
    np.testing.assert_allclose(exact.mean, np.exp(0.125 * (1 + 1e-6)), rtol=1e-12)
    assert (np.diag(exact.covariance) < np.expm1(0.25) * np.exp(0.25)).all()


@pytest.mark.parametrize("sampler", ["aggregate", "direct"])
@pytest.mark.parametrize("nonlinearity", ["exp", "expit"])
def test_draws_against_plain_ones(sampler: str, nonlinearity: str) -> None:
    """40,000 draws of each kind: 12 means and 78 covariances within 5 standard errors."""
    process = build(nonlinearity=nonlinearity, amplitude=AMPLITUDE)
    hyper, num = {"lengthscale": 0.6, "amplitude": 0.8}, 40_000
    columns = {name: np.full(num, value) for name, value in hyper.items()}
    draws = build_sampler(process, sampler).sample(jax.random.key(5), columns, num)
    assert close(draws, fine_draws(process, hyper, num), 5.0)
    wrong = {"lengthscale": 0.6, "amplitude": 0.7}
    assert not close(draws, fine_draws(process, wrong, num), 5.0)


def test_each_draw_has_its_own_amplitude() -> None:
    """A constant lengthscale, and amplitudes of their own: the fine fields are the same."""
    process = build(of=rbf(1.0), nonlinearity="exp", amplitude=AMPLITUDE)
    sampler = build_sampler(process)
    assert sampler.name == "aggregate" and sampler.error < 1e-5
    key, num = jax.random.key(6), 8
    small = sampler.sample(key, {"amplitude": np.full(num, 0.2)}, num)
    mixed = sampler.sample(key, {"amplitude": np.r_[np.full(4, 0.2), np.full(4, 0.8)]}, num)
    np.testing.assert_array_equal(small[:4], mixed[:4])
    assert (np.abs(np.log(mixed[4:])).mean() > 3 * np.abs(np.log(small[4:])).mean()).all()


def test_a_draw_is_traced_once_for_all_hyperparameters() -> None:
    process = build(nonlinearity="expit", amplitude=AMPLITUDE)
    assert process.moments({"lengthscale": 1.0, "amplitude": 0.5}) is None
    traces = []

    @jax.jit
    def draw(key: jax.Array, hyper: dict[str, jax.Array]) -> jax.Array:
        traces.append(None)
        return process.sample(key, hyper)

    for length in (0.5, 1.0, 2.0):
        hyper = {"lengthscale": np.float64(length), "amplitude": np.float64(0.5)}
        once = draw(jax.random.key(7), hyper)
        np.testing.assert_allclose(once, process.sample(jax.random.key(7), hyper), rtol=1e-12)
        assert ((once > 0) & (once < 1)).all()
    assert len(traces) == 1
    slope = jax.jacfwd(lambda a: process.sample(jax.random.key(7), {**hyper, "amplitude": a}))
    assert np.isfinite(slope(0.5)).all()


def test_a_constant_amplitude_is_no_condition() -> None:
    process = build(nonlinearity="exp", amplitude=0.5)
    assert [c.name for c in process.conditions] == ["lengthscale"]
    free = build(nonlinearity="exp", amplitude=AMPLITUDE)
    assert [c.name for c in free.conditions] == ["lengthscale", "amplitude"]
    hyper = {"lengthscale": 1.0}
    own, given = process.moments(hyper), free.moments({**hyper, "amplitude": 0.5})
    np.testing.assert_array_equal(own.covariance, given.covariance)
    np.testing.assert_array_equal(own.mean, given.mean)


# Several boundary systems.


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """North Carolina's counties merged by fours, as GeoJSON in longitude and latitude."""
    counties = builtin_data("sids2").set_crs("EPSG:4267", allow_override=True)
    counties["region"] = [f"R{k:02d}" for k in np.arange(100) // 4]
    regions = counties.dissolve("region").reset_index()[["region", "geometry"]]
    path = tmp_path_factory.mktemp("maps") / "merged.geojson"
    regions.to_crs(4326).to_file(path, coordinate_precision=15)
    return path


@pytest.mark.parametrize("nonlinear", [False, True])
def test_merged_areas_are_the_means_of_their_parts(merged: Path, nonlinear: bool) -> None:
    """In every draw: a county's weight is its area. Another datum comes back to 1e-10 or so."""
    bent = {"nonlinearity": "exp", "amplitude": 0.5} if nonlinear else {}
    systems = {"merged": {"source": str(merged), "id": "region"}}
    process = build("builtin:sids2", of=rbf(100.0), cells=300, systems=systems, **bent)
    assert process.areas.ids[100:103] == ("merged:R00", "merged:R01", "merged:R02")
    draws = build_sampler(process, "aggregate").sample(jax.random.key(8), {}, 20)
    area = process.areas.geometry.area.to_numpy()
    parts = (draws * area)[:, :100].reshape(20, 25, 4).sum(axis=2)
    np.testing.assert_allclose(draws[:, 100:], parts / area[100:], atol=1e-8)
    assert draws[:, 100:].std() > 0.1


def test_systems_do_not_change_one_another(merged: Path) -> None:
    """The covariance within a system is what it is alone, on the same cells."""
    systems = {"merged": {"source": str(merged), "id": "region"}}
    both = build("builtin:sids2", cells=300, systems=systems)
    alone = build("builtin:sids2", cells=300)
    hyper = {"lengthscale": 100.0}
    # The dissolved coast is the same coast, so the grid is the same but for rounding.
    np.testing.assert_allclose(
        both.covariance(hyper)[:100, :100], alone.covariance(hyper), atol=1e-6
    )
    assert both.areas.extent == alone.areas.extent
    assert both.conditions == alone.conditions
    # Of rank 100: the merged areas follow. The root is as smooth as ever, and small.
    assert np.linalg.matrix_rank(both.covariance(hyper), tol=1e-7) == 100
    assert build_sampler(both, "interpolated-root").error < 1e-5


def halves(save: Save) -> dict[str, Any]:
    """The grid's 4 by 3 km again, cut otherwise."""
    shapes = [shapely.box(0, 0, 2, 3), shapely.box(2, 0, 4, 1.5), shapely.box(2, 1.5, 4, 3)]
    return {"source": save(shapes, id=["west", "south", "north"]), "crs": "local"}


@pytest.mark.parametrize("where", ["cells", "points"])
def test_people_count_once_in_each_system(save: Save, where: str) -> None:
    """1 to 12 people a little off the centres, and 5 where squares and halves meet."""
    squares = [(x, y) for y in (2, 1, 0) for x in range(4)]
    places = [(x + 0.4, y + 0.6) for x, y in squares] + [(2.0, 1.5)]
    file = {"source": save(shapely.points(places), n=[*range(1, 13), 5.0]), "crs": "local"}
    people: dict[str, Any] = {"population": {**file, "column": "n"}}
    if where == "points":
        people = {"points": file, "population": {"column": "n"}}
    process = build(statistic="sum", systems={"half": halves(save)}, **people)
    total = process.weights.sum(axis=1)
    # (2, 1.5) is on the edge of r2c2 and r2c3, and in all three halves.
    expected = [1, 2, 3, 4, 5, 6 + 5, 7, 8, 9, 10, 11, 12]
    np.testing.assert_allclose(total[:12], expected)
    west = sum(n for n, (x, _) in zip(range(1, 13), squares, strict=True) if x < 2)
    south = sum(
        n for n, (x, y) in zip(range(1, 13), squares, strict=True) if x >= 2 and y + 0.6 < 1.5
    )
    np.testing.assert_allclose(total[12:], [west + 5, south, 78 - west - south])
    assert process.areas.ids[12:] == ("half:west", "half:south", "half:north")


def test_from_its_arrays_without_polygons(save: Save) -> None:
    config = {"kind": "aggregated", "of": MATERN, "cells": 48, "systems": {"half": halves(save)}}
    first = build_process(read_process(config), read_areas(GRID))
    config["systems"] = {"half": {"source": "gone.geojson"}}
    again = build_process(read_process(config), first.areas, first.arrays)
    hyper = {"lengthscale": 1.5}
    np.testing.assert_array_equal(again.covariance(hyper), first.covariance(hyper))
    assert again.areas is first.areas


@pytest.mark.slow
def test_from_yaml_to_a_certified_bundle_of_both_systems(save: Save, tmp_path: Path) -> None:
    process = {"kind": "aggregated", "of": MATERN, "cells": 48, "systems": {"half": halves(save)}}
    raw = {
        "name": "both",
        "seed": 1,
        "areas": {"source": GRID},
        "process": process,
        "model": {"type": "reference"},
        "certificate": {"num_draws": 200},
    }
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(parse_config(raw, "raw")), encoding="utf-8")
    run = train_run(load_config(path), out=tmp_path / "run")
    Path(process["systems"]["half"]["source"]).unlink()
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.area_ids[11:] == ("r3c4", "half:west", "half:south", "half:north")
    assert bundle.info.certificate.status == "passed" == run.evaluation.certificate.status
    again = evaluate_path(bundle=tmp_path / "run" / "bundle", out=tmp_path / "evaluation")
    assert again.certificate.status == "passed"
    matrix = bundle.matrix({"lengthscale": 1.5})
    expected = bundle.process().covariance({"lengthscale": 1.5})
    np.testing.assert_allclose(matrix @ matrix.T, expected, atol=1e-5)
    west = [0, 1, 4, 5, 8, 9]
    np.testing.assert_allclose(expected[12], expected[west].mean(axis=0), atol=1e-12)


# What cannot be used.


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([1.0, 2.0, -1.0, *[1.0] * 9], r"column 'n' is negative in row 3 of 12"),
        ([1.0, np.nan, 2.0, *[1.0] * 9], r"column 'n' has no number in row 2 of 12"),
        ([0.0, 1.0, 0.0, *[1.0] * 9], r"2 areas have nobody: r1c1, r1c3; leave out areas"),
        ([0.0] * 12, r"12 areas have nobody: .*check the coordinate reference system"),
        (["a"] * 12, r"column 'n' has no number in row 1, row 2"),
    ],
)
@pytest.mark.parametrize("where", ["cells", "points"])
def test_people_that_cannot_be(save: Save, people: list, message: str, where: str) -> None:
    centres = [(x + 0.4, y + 0.4) for y in (2, 1, 0) for x in range(4)]
    source = save(shapely.points(centres), n=people)
    with pytest.raises(AreasError, match=message):
        if where == "cells":
            build(population={"source": source, "column": "n", "crs": "local"})
        else:
            build(points={"source": source, "crs": "local"}, population={"column": "n"})


def test_a_column_or_file_that_is_not_there(save: Save, tmp_path: Path) -> None:
    source = save(shapely.points([(0.5, 0.5)]), people=[1.0])
    with pytest.raises(AreasError, match=r"no column 'peple' \(did you mean 'people'\?\)"):
        build(population={"source": source, "column": "peple", "crs": "local"})
    with pytest.raises(AreasError, match=r"no such file \(did you mean 'features0.gpkg'\?\)"):
        build(population={"source": str(tmp_path / "feature0.gpkg"), "column": "people"})
    table = tmp_path / "people.csv"
    table.write_text("people\n1\n", encoding="utf-8")
    with pytest.raises(AreasError, match="expected a file of points or polygons"):
        build(population={"source": str(table), "column": "people"})


def test_people_with_a_place_on_a_map_without(save: Save) -> None:
    source = save(shapely.points([(500.0, 4000.0)]), n=[1.0])
    with pytest.raises(AreasError, match="the map has no place on Earth, and this file has one"):
        build(population={"source": source, "column": "n"})


def test_points_that_cannot_be(save: Save) -> None:
    few = save(shapely.points([(0.5, 0.5), (1.5, 0.5), (2.5, 0.5)]))
    with pytest.raises(AreasError, match=r"9 areas have no point: r1c1, .*use `cells`"):
        build(points={"source": few, "crs": "local"})
    row = save(shapely.points([(x + 0.5, y + 0.5) for x in range(4) for y in range(3) if x < 2]))
    with pytest.raises(AreasError, match=r"have no point: .*r3c4, half:south, half:north;"):
        everywhere = halves(save)
        build(points={"source": row, "crs": "local"}, systems={"half": everywhere})
    twice = save(shapely.points([(0.5, 0.5), (1.5, 0.5), (0.5, 0.5)]))
    with pytest.raises(AreasError, match="3 points at 2 different places"):
        build(points={"source": twice, "crs": "local"})
    boxes = save([shapely.box(0, 0, 4, 3)])
    with pytest.raises(AreasError, match=r"expected points .* give the file as `population`"):
        build(points={"source": boxes, "crs": "local"})


def test_maps_without_polygons(tmp_path: Path) -> None:
    table = tmp_path / "edges.csv"
    table.write_text("from,to\na,b\nb,c\nc,d\n", encoding="utf-8")
    length = {"distribution": "constant", "value": 1.0, "unit": "km"}
    config = {"kind": "gp", "kernel": "rbf", "lengthscale": length}
    with pytest.raises(AreasError, match="needs polygons, and this is an adjacency alone"):
        build(str(table), of=config)


def test_other_processes_are_not_aggregated() -> None:
    areas = read_areas(GRID)
    with pytest.raises(ProcessError, match="sampler `aggregate`: gp is not aggregated"):
        build_sampler(build_process(read_process(MATERN), areas), "aggregate")
