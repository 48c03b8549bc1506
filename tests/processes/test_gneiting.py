"""Gneiting's covariance of distance and time lag."""

import itertools
import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from priorvae.errors import ConfigError, ProcessError
from priorvae.processes import build_process
from priorvae.processes.base import Layers
from priorvae.processes.build import read_process
from priorvae.processes.gneiting import Gneiting
from tests.maps import lattice
from tests.processes.test_stacked import run_of

TIMES = (2001.0, 2002.0, 2005.5)
LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
JOINT = {"kind": "gneiting", "lengthscale": LENGTHSCALE, "timescale": 2.0, "interaction": 0.5}


def build(**changes: Any) -> Gneiting:
    record = {"kind": "space-time", "times": list(TIMES), "joint": JOINT | changes}
    process = build_process(read_process(record), lattice(2, 4))
    assert isinstance(process, Gneiting)
    return process


def direct(
    lengthscale: float, timescale: float, interaction: float, space: float, time: float
) -> Gneiting:
    fixed = {"lengthscale": lengthscale, "timescale": timescale, "interaction": interaction}
    layers = Layers("time", tuple(map(str, TIMES)))
    return Gneiting(lattice(2, 4), layers, TIMES, (), fixed, space, time)


def by_hand(process: Gneiting, first: int, second: int, hyper: dict[str, float]) -> float:
    """Equation 14 of Gneiting (2002) with a = timescale^-2alpha, c = lengthscale^-2gamma."""
    n = len(process.areas)
    places = process.areas.centroids
    assert places is not None
    h = math.dist(places[first % n], places[second % n])
    u = TIMES[first // n] - TIMES[second // n]
    alpha, gamma, beta = process.temporal_power, process.spatial_power, hyper["interaction"]
    a, c = hyper["timescale"] ** (-2 * alpha), hyper["lengthscale"] ** (-2 * gamma)
    base = a * abs(u) ** (2 * alpha) + 1
    nugget = process.nugget if first == second else 0.0
    return math.exp(-c * h ** (2 * gamma) / base ** (beta * gamma)) / base + nugget


@pytest.mark.parametrize(("space", "time"), [(0.5, 0.5), (1.0, 1.0), (0.3, 0.8)])
def test_covariance_is_the_formula(space: float, time: float) -> None:
    process = build(spatial_power=space, temporal_power=time)
    hyper = {"lengthscale": 15.0}
    covariance = process.covariance(hyper)
    assert covariance.shape == (24, 24) and process.size == 24
    for first, second in itertools.product(range(24), repeat=2):
        expected = by_hand(process, first, second, process.all_hyper(hyper))
        assert covariance[first, second] == pytest.approx(expected, rel=1e-12)


def test_root_and_jax_agree_and_gradients_are_finite() -> None:
    share = {"distribution": "uniform", "low": 0.0, "high": 1.0}
    process = build(
        timescale={"distribution": "loguniform", "low": 0.5, "high": 5}, interaction=share
    )
    assert [c.name for c in process.conditions] == ["lengthscale", "timescale", "interaction"]
    assert [c.unit for c in process.conditions] == ["km", "", ""]
    assert process.eigenbasis is None and process.layers == ("time", ("2001", "2002", "2005.5"))
    for hyper in (
        {"lengthscale": 15.0, "timescale": 1.0, "interaction": 0.7},
        {"lengthscale": 40.0, "timescale": 5.0, "interaction": 0.0},
    ):
        covariance, root = process.covariance(hyper), process.root(hyper)
        np.testing.assert_allclose(root @ root.T, covariance, atol=1e-12)
        traced = jax.jit(process.covariance_jax)(hyper)
        np.testing.assert_allclose(traced, covariance, rtol=1e-12)
        slopes = jax.jacfwd(process.covariance_jax)(hyper)
        for name, slope in slopes.items():
            near = [process.covariance(hyper | {name: hyper[name] + d}) for d in (1e-5, -1e-5)]
            np.testing.assert_allclose(slope, (near[0] - near[1]) / 2e-5, atol=1e-8)


def test_without_interaction_it_is_separable() -> None:
    process = build(interaction=0.0)
    covariance = process.covariance({"lengthscale": 15.0}) - process.nugget * np.eye(24)
    in_time, in_space = covariance[::8, ::8], covariance[:8, :8]
    np.testing.assert_allclose(covariance, np.kron(in_time, in_space), atol=1e-14)
    mixed = build(interaction=0.5).covariance({"lengthscale": 15.0}) - process.nugget * np.eye(24)
    assert np.abs(mixed - np.kron(mixed[::8, ::8], mixed[:8, :8])).max() > 0.01


def test_interaction_reaches_further_later() -> None:
    """It changes what lies apart in space and in time, and that only: it raises it."""
    weak, strong = (
        build(interaction=b).covariance({"lengthscale": 15.0}).reshape(3, 8, 3, 8)
        for b in (0.2, 0.9)
    )
    same_time = np.eye(3, dtype=bool)[:, None, :, None]
    same_place = np.eye(8, dtype=bool)[None, :, None, :]
    apart = np.broadcast_to(~same_time & ~same_place, weak.shape)
    assert (strong[apart] > weak[apart]).all()
    np.testing.assert_allclose(strong[~apart], weak[~apart], rtol=1e-14)


@pytest.mark.parametrize("powers", [(0.05, 0.05), (0.5, 0.5), (1.0, 1.0), (1.0, 0.1), (0.1, 1.0)])
def test_it_is_positive_definite_everywhere(powers: tuple[float, float]) -> None:
    """Without its nugget, over the ends of every parameter and what is between them."""
    for lengthscale, timescale, interaction in itertools.product(
        (0.5, 10.0, 1000.0), (0.01, 2.0, 500.0), (0.0, 0.5, 1.0)
    ):
        process = direct(lengthscale, timescale, interaction, *powers)
        covariance = process.covariance({}) - process.nugget * np.eye(24)
        assert np.linalg.eigvalsh(covariance).min() > -1e-13 * 24
        np.testing.assert_allclose(np.diag(covariance), 1, atol=1e-12)


def test_maps_without_places_are_refused() -> None:
    areas = lattice(2, 4)
    record = {"kind": "space-time", "times": 3, "joint": JOINT | {"lengthscale": 5}}
    record["joint"]["lengthscale"] = {"distribution": "constant", "value": 5, "unit": "km"}  # type: ignore[index]
    with pytest.raises(ProcessError, match=r"gneiting needs centroids.*`spatial` process"):
        build_process(read_process(record), replace(areas, centroids=None))
    assert areas.centroids is not None
    twins = areas.centroids.copy()
    twins[3] = twins[5]
    with pytest.raises(ProcessError, match="have the same centroid"):
        build_process(read_process(record), replace(areas, centroids=twins))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interaction": 1.2}, "process.joint.interaction: .*at most 1 .got 1.2"),
        ({"interaction": -0.1}, "process.joint.interaction: .*not be negative"),
        ({"timescale": 0}, "process.joint.timescale: a timescale must be positive"),
        ({"lengthscale": 3}, "process.joint.lengthscale: `unit` must say"),
        ({"spatial_power": 1.1}, "process.joint.spatial_power: .*less than or equal to 1"),
        ({"temporal_power": 0}, "process.joint.temporal_power: .*greater than 0"),
    ],
)
def test_parameters_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_of({"kind": "space-time", "times": 3, "joint": JOINT | changes})


def test_the_two_forms_do_not_mix() -> None:
    record = {"kind": "space-time", "times": 3, "joint": JOINT, "spatial": {"kind": "icar"}}
    with pytest.raises(ConfigError, match="`joint` stands in place of"):
        run_of(record)
