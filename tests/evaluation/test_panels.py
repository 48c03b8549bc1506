import jax
import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.evaluation import figures
from priorvae.evaluation.panels import layer_panels, spread
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import Condition
from priorvae.processes.base import Layers
from priorvae.processes.car import ProperCAR
from priorvae.processes.spacetime import AR1
from priorvae.processes.stacked import Stacked
from tests.evaluation.linear import Linear


@pytest.mark.parametrize(
    ("num", "most", "keep", "expected"),
    [
        (3, 3, 0, [0, 1, 2]),
        (2, 9, 1, [0, 1]),
        (10, 3, 0, [0, 4, 9]),
        (10, 4, 5, [0, 3, 5, 9]),
        (10, 4, 9, [0, 3, 6, 9]),
        (100, 3, 98, [0, 50, 98]),
    ],
)
def test_layers_are_chosen_from_end_to_end(
    num: int, most: int, keep: int, expected: list[int]
) -> None:
    assert spread(num, most, keep) == expected


def test_a_field_is_taken_apart_by_layer() -> None:
    layers = Layers("time", ("2001", "2002", "2003"))
    first, last = layer_panels(np.arange(12.0), layers, most=2)
    assert (first.title, last.title) == ("time 2001", "time 2003")
    np.testing.assert_array_equal(first.values, [0, 1, 2, 3])
    np.testing.assert_array_equal(last.values, [8, 9, 10, 11])
    (whole,) = layer_panels(np.arange(12.0), None, most=2)
    assert whole.title == "" and len(whole.values) == 12


@pytest.mark.slow
def test_the_layer_that_is_wrong_is_shown() -> None:
    """Twelve times, of which nine are shown; the sd is wrong in one area at the eighth."""
    areas = read_areas("grid:3x3")
    phi = Condition("phi", "", 0.0, 0.9, "asin", "uniform")
    layers = Layers("time", tuple(str(2000 + t) for t in range(12)))
    car = ProperCAR(areas, (), {"alpha": 0.9})
    process = Stacked("space-time", layers, AR1(12, (phi,), {}), (car,))
    factors = np.ones(108)
    factors[7 * 9 + 4] = 1.5
    decoder = Linear(process, lambda hyper: factors[:, None] * process.root(hyper))  # type: ignore[arg-type]
    prior = evaluate_prior(jax.random.key(0), decoder, process, num_conditions=3, num_draws=100)
    worst = prior.worst("worst_sd")
    assert worst is not None and worst.areas == (f"2007/{areas.ids[4]}",)
    views = figures.look(jax.random.key(1), decoder, process, prior)
    found = figures.prior_figures(views, areas, layers)
    assert len(found) == 3 * 3 + 1
    assert f"furthest from 1 in area {areas.ids[4]}, time 2007." in found[-1].alt
    assert "time 2000" in found[0].alt and "3 layers of a draw" in found[3].alt
