from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from priorvae.areas import Areas, read_areas
from priorvae.evaluation import figures
from priorvae.evaluation.drawing import draw_areas, new_figure, positions
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import ProperCAR
from priorvae.processes.conditions import Condition
from tests.evaluation.linear import Linear


def variants() -> dict[str, Areas]:
    areas = read_areas("grid:4x5")
    points = replace(areas, geometry=None)
    return {"polygons": areas, "points": points, "graph": replace(points, centroids=None)}


@pytest.mark.parametrize("kind", ["polygons", "points", "graph"])
def test_every_kind_of_map_is_drawn(kind: str) -> None:
    areas = variants()[kind]
    with new_figure(3, 3) as (_, axes):
        shown = draw_areas(axes, areas, np.arange(20.0))
    np.testing.assert_array_equal(shown.get_array(), np.arange(20.0))


def test_a_graph_without_places_is_laid_out_with_neighbours_close() -> None:
    areas = variants()["graph"]
    places = positions(areas)
    i, j = areas.edges.T
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    assert apart[i, j].mean() < 0.7 * apart[np.triu_indices(20, 1)].mean()


def test_a_car_on_a_bare_graph_has_all_its_figures() -> None:
    areas = variants()["graph"]
    alpha = Condition("alpha", "", 0.0, 0.9, "log1m", "uniform")
    process = ProperCAR(areas, (alpha,), {})
    decoder = Linear(process, process.root)
    prior = evaluate_prior(jax.random.key(0), decoder, process, num_conditions=3, num_draws=100)
    views = figures.look(jax.random.key(1), decoder, process, prior)
    found = figures.prior_figures(views, areas)
    assert len(found) == 3 * 3 + 1
    assert all(figure.alt and figure.caption for figure in found)


def test_the_loss_is_drawn_without_its_broken_records(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": NaN}\n{"note": "x"}\n')
    figure = figures.loss_figure(path)
    assert figure is not None
    assert "1 records" in figure.alt
    path.write_text("")
    assert figures.loss_figure(path) is None
