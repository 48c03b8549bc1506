import json
from pathlib import Path

import arviz as az
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from priorvae.areas import Areas, Provenance, read_areas
from priorvae.bundles import Bundle
from priorvae.errors import DataError, InputError
from priorvae.inference import Fit, area_table, draw_posterior, parameter_table, write_fit
from priorvae.inference.output import new_directory


def test_parameter_table_summarises_the_draws(fitted: Fit) -> None:
    table = parameter_table(fitted)
    assert list(table.index) == list(fitted.parameters)
    draws = fitted.draws("b_x").ravel()
    row = table.loc["b_x"]
    np.testing.assert_allclose(
        row[["mean", "sd", "q2.5", "q97.5"]].astype(float),
        [draws.mean(), draws.std(ddof=1), *np.quantile(draws, [0.025, 0.975])],
        rtol=1e-12,
    )
    assert row["rhat"] >= 0.99
    assert table["ess_bulk"].min() >= fitted.diagnostics.min_ess_bulk


def test_area_table_has_one_row_per_area(fitted: Fit) -> None:
    table = area_table(fitted)
    assert tuple(table.index) == fitted.data.area_ids
    np.testing.assert_array_equal(table["y"], fitted.data.y)
    for quantity in ("risk", "mu", "f"):
        draws = fitted.draws(quantity).reshape(-1, 20)
        np.testing.assert_allclose(table[f"{quantity}_mean"], draws.mean(0), rtol=1e-12)
        assert (table[f"{quantity}_q2.5"] < table[f"{quantity}_q97.5"]).all()


def test_a_directory_with_everything(fitted: Fit, grid: Areas, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "fit"
    write_fit(fitted, out, areas=grid, record={"bundle": "b", "seed": 1})
    names = {"posterior.nc", "parameters.csv", "areas.csv", "map.png", "fit.json"}
    assert {path.name for path in out.iterdir()} == names
    assert [path.name for path in out.parent.iterdir()] == ["fit"]
    posterior = az.from_netcdf(out / "posterior.nc", engine="h5netcdf")["posterior"]
    np.testing.assert_array_equal(posterior["risk"], fitted.draws("risk"))
    record = json.loads((out / "fit.json").read_text())
    assert record["formula"] == "deaths ~ x + offset(log(births))"
    assert (record["bundle"], record["seed"], record["family"]) == ("b", 1, "poisson")
    assert record["diagnostics"]["divergences"] == fitted.diagnostics.divergences
    assert "numpyro" in record["versions"]
    areas = pd.read_csv(out / "areas.csv", dtype={"area": str})
    assert tuple(areas["area"]) == fitted.data.area_ids
    assert tuple(areas["name"].astype(str)) == grid.names


def test_an_existing_directory_is_left_alone(fitted: Fit, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="nothing was overwritten"):
        write_fit(fitted, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "fit"
    out.mkdir()
    with new_directory(out) as folder:
        (folder / "a").write_text("a")
    assert (out / "a").read_text() == "a"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_directory(tmp_path / "fit") as folder:
        (folder / "a").write_text("a")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), new_directory(tmp_path / "file/x"):
        pass


def panels(figure: object) -> list:
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def test_the_map_colours_each_area_by_its_own_value(fitted: Fit, grid: Areas) -> None:
    order = np.random.default_rng(0).permutation(len(grid))
    shuffled = Areas(
        ids=tuple(grid.ids[i] for i in order),
        names=grid.names,
        edges=np.zeros((0, 2), int),
        bridge=np.zeros(0, bool),
        centroids=grid.centroids[order],
        extent=grid.extent,
        crs=None,
        provenance=Provenance("shuffled"),
        geometry=grid.geometry.iloc[order].reset_index(drop=True),
    )
    first, second = (panels(draw_posterior(fitted, areas)) for areas in (grid, shuffled))
    assert [axes.get_title(loc="left") for axes in first] == [
        "Posterior mean of risk",
        "Posterior sd of risk",
    ]
    drawn = first[0].collections[0]
    np.testing.assert_allclose(drawn.get_array(), fitted.draws("risk").mean((0, 1)))
    for one, other in zip(drawn.get_paths(), second[0].collections[0].get_paths(), strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)


def test_areas_without_polygons_become_points(fitted: Fit, bundle: Bundle, tmp_path: Path) -> None:
    points = Areas(**{**vars(bundle.areas), "geometry": None})
    figure = draw_posterior(fitted, points)
    drawn = panels(figure)[0].collections[0]
    np.testing.assert_allclose(drawn.get_offsets(), points.centroids)
    figure.savefig(tmp_path / "map.png")
    pixels = matplotlib.image.imread(tmp_path / "map.png")[..., :3].reshape(-1, 3)
    assert len(np.unique(pixels.round(2), axis=0)) > 20


def test_a_map_that_lacks_areas_is_refused(fitted: Fit) -> None:
    with pytest.raises(DataError, match="the map lacks"):
        draw_posterior(fitted, read_areas("builtin:sids2"))
