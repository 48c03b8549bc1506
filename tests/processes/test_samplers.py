"""Every process by every sampler that can serve it: against the covariance, and one another."""

from typing import Any

import jax
import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.errors import ProcessError
from priorvae.processes import Gaussian, build_process
from priorvae.processes.base import require_gaussian
from priorvae.processes.build import read_process
from priorvae.processes.samplers import SAMPLERS, LatentSampler, build_sampler
from priorvae.processes.simulate import LARGEST_BLOCK, simulate
from tests.maps import lattice, two_lattices_and_an_island

LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
DEPENDENCE = {"distribution": "uniform", "low": 0.0, "high": 0.99}
SHARE = {"distribution": "beta", "low": 0.0, "high": 1.0}
GP = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
CAR = {"kind": "car", "alpha": DEPENDENCE}
AR1 = {"kind": "ar1", "phi": {"distribution": "uniform", "low": -0.5, "high": 0.95}}
GNEITING = {"kind": "gneiting", "lengthscale": LENGTHSCALE, "timescale": 1.5, "interaction": SHARE}
LAYERED: dict[str, dict[str, Any]] = {
    "ar1 x car": {"kind": "space-time", "times": 3, "spatial": CAR, "temporal": AR1},
    "ar1 x gp": {
        "kind": "space-time",
        "times": 3,
        "spatial": GP,
        "temporal": {"kind": "ar1", "phi": 0.7},
    },
    "rw1 x icar": {
        "kind": "space-time",
        "times": 3,
        "spatial": {"kind": "icar"},
        "temporal": {"kind": "rw1"},
    },
    "gneiting": {"kind": "space-time", "times": [1, 2, 4], "joint": GNEITING},
    "shared": {
        "kind": "multivariate",
        "outcomes": ["first", "second"],
        "shared": CAR,
        "specific": {"kind": "bym2", "rho": 0.5},
        "shares": {"first": SHARE, "second": 0.3},
    },
    "coregionalised": {
        "kind": "multivariate",
        "outcomes": ["first", "second"],
        "components": [{"kind": "bym2", "rho": 0.7}, {"kind": "leroux", "rho": 0.9}],
        "loadings": {
            "first": [1, {"distribution": "uniform", "low": -2.0, "high": 1.5}],
            "second": [0.5, 1],
        },
    },
}
CONFIGS: dict[str, dict[str, Any]] = {
    "gp": {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE},
    "gp, either": {**GP, "kernel": "categorical", "among": ["matern12", "rbf"]},
    "car": {"kind": "car", "alpha": DEPENDENCE},
    "car, below 0": {"kind": "car", "alpha": DEPENDENCE | {"low": -0.5}},
    "sar": {"kind": "sar", "rho": DEPENDENCE},
    "leroux": {"kind": "leroux", "rho": DEPENDENCE},
    "icar": {"kind": "icar"},
    "bym2": {"kind": "bym2", "rho": SHARE},
    "aggregated": {"kind": "aggregated", "of": GP, "cells": 48},
    **LAYERED,
}
DENSE = ("cholesky", "interpolated-root")
ON_A_GRAPH = (*DENSE, "eigenbasis", "polynomial", "sparse-cholesky")
SERVED_BY: dict[str, tuple[str, ...]] = {
    "gp": (*DENSE, "circulant"),
    "gp, either": (*DENSE, "circulant"),
    "car": ON_A_GRAPH,
    "car, below 0": ON_A_GRAPH,
    "sar": ON_A_GRAPH,
    "leroux": ON_A_GRAPH,
    "icar": ("interpolated-root", "eigenbasis", "intrinsic"),
    # At rho = 1 the covariance is singular, but no draw of a continuous rho is there.
    "bym2": (*DENSE, "eigenbasis", "intrinsic"),
    "ar1 x car": (*DENSE, "eigenbasis", "kronecker"),
    "ar1 x gp": (*DENSE, "kronecker"),
    "rw1 x icar": ("interpolated-root", "eigenbasis", "kronecker"),
    "gneiting": DENSE,
    "aggregated": (*DENSE, "aggregate"),
    "shared": (*DENSE, "eigenbasis", "kronecker"),
    "coregionalised": (*DENSE, "eigenbasis", "kronecker"),
}
QUICKEST = {
    "gp": "interpolated-root",
    "gp, either": "interpolated-root",
    "gneiting": "interpolated-root",
    "aggregated": "interpolated-root",
    **dict.fromkeys(set(LAYERED) - {"gneiting"}, "kronecker"),
}
CASES = [(kind, name) for kind, names in SERVED_BY.items() for name in names]
SECONDS = {
    (kind, sampler)
    for kind in ("car, below 0", "sar", "leroux")
    for sampler in ("polynomial", "sparse-cholesky")
}
"""Cases that take as long as the proper CAR's, which is always run."""
WITH_ISLANDS = ("leroux", "icar", "bym2")


def marked(case: tuple[str, str]) -> object:
    return pytest.param(case, marks=[pytest.mark.slow] if case in SECONDS else [])


def process_of(kind: str) -> Gaussian:
    areas = lattice(2, 4) if kind in LAYERED else lattice(4, 5)
    if kind in WITH_ISLANDS:
        areas = two_lattices_and_an_island()
    if kind == "aggregated":
        areas = read_areas("grid:3x4")
    return require_gaussian(build_process(read_process(CONFIGS[kind]), areas), "this test")


@pytest.fixture(params=list(map(marked, CASES)), ids=" by ".join)
def case(request: pytest.FixtureRequest) -> tuple[Gaussian, LatentSampler]:
    kind, name = request.param
    process = process_of(kind)
    sampler = build_sampler(process, name)
    assert isinstance(sampler, LatentSampler)
    return process, sampler


def test_draws_have_the_covariance(case: tuple[Gaussian, LatentSampler]) -> None:
    """200,000 draws at one value; each entry within 5.5 standard errors (at most 576 entries).

    A map whose entries are exact would fail once in 45,000. On a torus a draw takes more normals,
    and there are 20,000.
    """
    process, sampler = case
    num = 20_000 if sampler.name == "circulant" else 200_000
    hyper = {c.name: float(c.from_unit(0.3)) for c in process.conditions}
    # What factorises for each draw is given one value of theta a block, which it keeps.
    z = np.random.default_rng(0).standard_normal((num, sampler.latent_dim))
    if sampler.name == "cholesky":
        fields = z @ np.linalg.cholesky(process.covariance(hyper)).T
        again = sampler.draw(z[:5], {name: np.full(5, v) for name, v in hyper.items()})
        np.testing.assert_allclose(fields[:5], again, atol=1e-12)
    else:
        fields = sampler.draw(z, {name: np.full(num, value) for name, value in hyper.items()})
    expected = process.covariance(hyper)
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / num)
    assert (np.abs(fields.T @ fields / num - expected) <= 5.5 * error + 1e-12).all()


def test_every_draw_follows_its_own_hyperparameters(
    case: tuple[Gaussian, LatentSampler],
) -> None:
    """Unit normals, one at a time, give the columns of a root of that draw's covariance."""
    process, sampler = case
    for unit in (-1.0, -0.4, 0.1, 0.7, 1.0):
        values = {c.name: float(c.from_unit(unit)) for c in process.conditions}
        if process.kind == "bym2" and unit == 1.0 and sampler.name == "cholesky":
            continue  # singular there
        eye = np.eye(sampler.latent_dim)
        root = sampler.draw(eye, {name: np.full(len(eye), v) for name, v in values.items()}).T
        expected = process.covariance(values)
        error = np.linalg.norm(root @ root.T - expected) / np.linalg.norm(expected)
        # Twice the root's own error, and float32 rounding where that is how it is applied.
        assert error < 4 * sampler.error + 1e-6
    assert sampler.error <= 1e-5


def test_simulation_is_the_same_however_long_it_is(case: tuple[Gaussian, LatentSampler]) -> None:
    process, sampler = case
    key, num = jax.random.key(1), LARGEST_BLOCK + 20
    long = list(simulate(key, process, sampler, num))
    assert [len(block.fields) for block in long] == [LARGEST_BLOCK, 20]
    (short,) = simulate(key, process, sampler, 7)
    np.testing.assert_array_equal(short.fields, long[0].fields[:7])
    for name, values in short.hyper.items():
        np.testing.assert_array_equal(values, long[0].hyper[name][:7])
    assert not np.array_equal(long[1].fields, long[0].fields[:20])


def test_simulated_fields_have_the_variance_of_their_hyperparameters(
    case: tuple[Gaussian, LatentSampler],
) -> None:
    """Whitened by their own covariance the fields are N(0, I): chi-square within 4.5 sd."""
    process, sampler = case
    (block,) = simulate(jax.random.key(2), process, sampler, LARGEST_BLOCK)
    squares, ranks = [], []
    for index, field in enumerate(block.fields):
        hyper = {name: float(values[index]) for name, values in block.hyper.items()}
        values, vectors = np.linalg.eigh(process.covariance(hyper))
        kept = values > 1e-9 * values[-1]
        squares.append(((field @ vectors)[kept] ** 2 / values[kept]).sum())
        ranks.append(kept.sum())
    spread = np.sqrt(2 * np.sum(ranks))
    assert abs(np.sum(squares) - np.sum(ranks)) < 4.5 * spread


@pytest.mark.parametrize("kind", CONFIGS)
def test_auto_takes_the_quickest(kind: str) -> None:
    assert build_sampler(process_of(kind)).name == QUICKEST.get(kind, "eigenbasis")


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_sampler_that_cannot_serve_is_refused(kind: str) -> None:
    for name in sorted(set(SAMPLERS) - set(SERVED_BY[kind]) - {"cholesky"}):
        with pytest.raises(ProcessError, match=f"sampler `{name}`.*{CONFIGS[kind]['kind']}"):
            build_sampler(process_of(kind), name)


def test_a_singular_covariance_has_no_cholesky_factor() -> None:
    sampler = build_sampler(process_of("icar"), "cholesky")
    with pytest.raises(ProcessError, match=r"icar is singular.*another sampler"):
        sampler.sample(jax.random.key(0), {}, 1)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ProcessError, match="did you mean 'cholesky'"):
        build_sampler(process_of("gp"), "cholesk")
