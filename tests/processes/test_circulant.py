"""Circulant embedding against dense covariances, and the grids it is for."""

import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.areas.types import Areas
from priorvae.errors import ProcessError
from priorvae.processes import GP, build_process
from priorvae.processes.build import read_process
from priorvae.processes.lattice import find_lattice
from priorvae.processes.samplers import base as samplers_base
from priorvae.processes.samplers import build_sampler
from priorvae.processes.samplers.circulant import CirculantSampler
from priorvae.processes.torus import Embedding, Torus
from tests.maps import lattice


def free(low: float, high: float, unit: str = "") -> dict[str, Any]:
    return {"distribution": "loguniform", "low": low, "high": high, "unit": unit}


def constant(value: float, unit: str = "") -> dict[str, Any]:
    return {"distribution": "constant", "value": value, "unit": unit}


LENGTHSCALE = free(0.05, 1.0, "extent")
TURNED = {
    "ratio": free(1.0, 3.0),
    "angle": {"distribution": "uniform", "low": 0.0, "high": 180.0},
}
KERNELS: dict[str, dict[str, Any]] = {
    name: {"kernel": name, "lengthscale": LENGTHSCALE}
    for name in ("matern12", "matern32", "matern52", "rbf")
} | {
    "rational-quadratic": {
        "kernel": "rational-quadratic", "lengthscale": LENGTHSCALE, "shape": free(0.3, 3.0),
    },
    "sum": {
        "kernel": "sum",
        "terms": [
            {"kernel": "matern32", "lengthscale": LENGTHSCALE},
            {"kernel": "matern12", "lengthscale": constant(0.2, "extent"), "weight": free(0.2, 5)},
        ],
    },
    "product": {
        "kernel": "product",
        "terms": [
            {"kernel": "matern52", "lengthscale": free(0.05, 0.5, "extent")},
            {"kernel": "periodic", "lengthscale": 1.0, "period": constant(0.6, "extent")},
        ],
    },
    "categorical": {
        "kernel": "categorical", "among": ["matern12", "matern32", "rbf"],
        "lengthscale": LENGTHSCALE,
    },
    "anisotropy": {"kernel": "matern32", "lengthscale": LENGTHSCALE, "anisotropy": TURNED},
    "constant": {"kernel": "rbf", "lengthscale": constant(0.3, "extent")},
}  # fmt: skip
MAPS = {"rectangle": lattice(4, 5), "line": lattice(1, 7), "column": lattice(8, 1)}


def gp(areas: Areas, **config: Any) -> GP:
    process = build_process(read_process({"kind": "gp", **config}), areas)
    assert isinstance(process, GP)
    return process


def root_of(sampler: CirculantSampler, hyper: dict[str, float]) -> np.ndarray:
    """The matrix that a sampler applies, from unit normals."""
    eye = np.eye(sampler.latent_dim)
    return sampler.draw(eye, {name: np.full(len(eye), v) for name, v in hyper.items()}).T


def permuted(areas: Areas, order: np.ndarray) -> Areas:
    """Some areas of a map in another order, without its graph."""
    assert areas.centroids is not None
    ids = tuple(areas.ids[i] for i in order)
    none = np.zeros((0, 2), dtype=int)
    return replace(
        areas, ids=ids, names=ids, edges=none, bridge=none[:, 0], centroids=areas.centroids[order]
    )


@pytest.mark.parametrize("place", MAPS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_covariance_is_that_of_the_process(kernel: str, place: str) -> None:
    """No entry off by more than the recorded error says, float32 rounding aside."""
    process = gp(MAPS[place], **KERNELS[kernel])
    sampler = CirculantSampler(process)
    assert sampler.is_accurate and sampler.error <= 1e-5
    for unit in (-1.0, -0.35, 0.2, 1.0):
        hyper = {c.name: float(c.from_unit(unit)) for c in process.conditions}
        root = root_of(sampler, hyper)
        expected = process.covariance(hyper)
        np.testing.assert_allclose(root @ root.T, expected, atol=2 * sampler.error + 1e-6)


def test_every_draw_has_a_theta_of_its_own() -> None:
    """In blocks of several draws, each by the root of its own hyperparameters."""
    process = gp(MAPS["rectangle"], **KERNELS["categorical"])
    sampler = CirculantSampler(process)
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, sampler.latent_dim))
    hyper = {c.name: c.quantile(rng.uniform(size=300)) for c in process.conditions}
    fields = sampler.draw(z, hyper)
    for index in (0, 81, 150, 299):
        own = {name: float(values[index]) for name, values in hyper.items()}
        np.testing.assert_allclose(fields[index], root_of(sampler, own) @ z[index], atol=1e-5)


def test_eigenvalues_are_those_of_the_circulant_matrix() -> None:
    """Against a dense eigendecomposition of the covariance on the whole torus."""
    for kernel in ("matern32", "anisotropy"):
        process = gp(MAPS["rectangle"], **KERNELS[kernel])
        grid = find_lattice(process.areas.centroids)  # type: ignore[arg-type]
        assert grid is not None
        torus = Torus(process, grid, (10, 8))
        hyper = {c.name: float(c.from_unit(0.4)) for c in process.conditions}
        values = torus.eigenvalues(hyper)[0]
        by_lag = np.fft.ifft2(values).real
        x, y = (axis.ravel() for axis in np.meshgrid(np.arange(10), np.arange(8), indexing="ij"))
        dense = by_lag[(x[:, None] - x) % 10, (y[:, None] - y) % 8]
        np.testing.assert_allclose(
            np.linalg.eigvalsh(dense), np.sort(values, axis=None), atol=1e-12
        )
        # And its corner is the covariance of the process, before anything is replaced.
        at = grid.node @ [8, 1]
        np.testing.assert_allclose(dense[np.ix_(at, at)], process.covariance(hyper), atol=1e-12)


@pytest.mark.parametrize("kernel", ["matern32", "anisotropy"])
def test_the_recorded_excess_is_what_draws_have_too_much(kernel: str) -> None:
    """On a torus too small for its lengthscale, with eigenvalues below 0."""
    process = gp(MAPS["rectangle"], **KERNELS[kernel])
    grid = find_lattice(process.areas.centroids)  # type: ignore[arg-type]
    assert grid is not None
    torus = Torus(process, grid, (10, 8))
    hyper = {c.name: c.high for c in process.conditions}
    assert torus.eigenvalues(hyper).min() < -0.1
    sampler = CirculantSampler(process)
    vars(sampler)["embedding"] = Embedding(torus, 0.0)
    root = root_of(sampler, hyper)
    exact = process.covariance(hyper)
    added = root @ root.T - exact
    assert np.linalg.eigvalsh(added).min() > -1e-5
    variance = added[0, 0] / exact[0, 0]
    norm = np.linalg.norm(added) / np.linalg.norm(exact)
    np.testing.assert_allclose(torus.excess(hyper), max(variance, norm), rtol=1e-4)
    assert torus.excess(hyper) > 0.01


def test_any_order_and_holes_are_served() -> None:
    rng = np.random.default_rng(2)
    areas = permuted(lattice(5, 6), rng.permutation(30)[:17])
    process = gp(areas, **KERNELS["matern32"])
    sampler = CirculantSampler(process)
    for value in (5.0, 40.0):
        root = root_of(sampler, {"lengthscale": value})
        expected = process.covariance({"lengthscale": value})
        np.testing.assert_allclose(root @ root.T, expected, atol=2 * sampler.error + 1e-6)


def test_grids_are_recognised() -> None:
    places = np.array([[x, y] for y in (1.0, 3.5, 6.0, 8.5) for x in (-2.0, -1.0, 0.0)])
    rng = np.random.default_rng(0)
    for order in (np.arange(12), rng.permutation(12), rng.permutation(12)[:7]):
        found = find_lattice(places[order])
        assert found is not None
        assert found.shape == (3, 4) and found.spacing == (1.0, 2.5)
        np.testing.assert_allclose([-2.0, 1.0] + found.node * found.spacing, places[order])
    rounded = find_lattice(places + 1e-9 * rng.normal(size=places.shape))
    assert rounded is not None and rounded.shape == (3, 4)
    line = find_lattice(np.stack([np.full(9, 4.0), 0.1 * np.arange(9)], axis=1))
    assert line is not None and line.shape == (1, 9)
    large = find_lattice(np.array(lattice(1, 20_000, spacing=0.1).centroids))
    assert large is not None and large.shape == (20_000, 1)


@pytest.mark.parametrize("kind", ["jittered", "turned", "stretched", "twice", "sparse"])
def test_what_is_no_grid_is_not(kind: str) -> None:
    places = np.array(lattice(4, 5).centroids)
    rng = np.random.default_rng(0)
    turn = np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    others = {
        "jittered": places + 1e-3 * rng.normal(size=places.shape),
        "turned": places @ turn,
        "stretched": places**1.1,
        "twice": places[[*range(20), 3]],
        "sparse": 1000.0 * np.stack([np.arange(20), np.arange(20)], axis=1),
    }
    assert find_lattice(others[kind]) is None


def test_irregular_maps_and_spheres_are_refused() -> None:
    for areas, config in (
        (read_areas("builtin:sids2"), KERNELS["matern32"]),
        (
            read_areas("builtin:sids2"),
            {"kernel": "matern12", "lengthscale": free(30, 300, "km"), "distance": "great-circle"},
        ),
    ):
        message = r"sampler `circulant`: gp on builtin:sids2 is no gp .* regular grid.*use `auto`"
        with pytest.raises(ProcessError, match=message):
            build_sampler(gp(areas, **config), "circulant")


def test_lengthscales_too_long_for_any_torus_are_refused() -> None:
    endless = {"kernel": "periodic", "lengthscale": 1.0, "period": constant(0.7, "extent")}
    sampler = build_sampler(gp(lattice(4, 5), **endless), "circulant")
    with pytest.raises(ProcessError, match=r"negative eigenvalues even .*use `interpolated-root`"):
        _ = sampler.error
    long = {"kernel": "rbf", "lengthscale": free(0.1, 20.0, "extent")}
    with pytest.raises(ProcessError, match=r"or shorter lengthscales"):
        _ = build_sampler(gp(lattice(4, 5), **long), "circulant").error


def test_auto_embeds_large_grids() -> None:
    def chosen(rows: int, columns: int, kernel: str) -> str:
        return build_sampler(gp(lattice(rows, columns), **KERNELS[kernel])).name

    assert chosen(20, 20, "matern32") == "interpolated-root"
    assert chosen(50, 50, "matern32") == "circulant"
    assert chosen(1, 2500, "matern12") == "circulant"
    endless = {"kernel": "periodic", "lengthscale": 1.0, "period": constant(0.7, "extent")}
    assert build_sampler(gp(lattice(50, 50), **endless)).name == "interpolated-root"
    with pytest.raises(ProcessError, match="negative eigenvalues"):
        _ = build_sampler(gp(lattice(120, 110), **endless)).error


def test_ten_thousand_areas_draw_in_no_time() -> None:
    """Without a matrix of 10,000 x 10,000; the variogram within 4.5 standard errors of 40 draws."""
    process = gp(lattice(100, 100), kernel="matern32", lengthscale=free(0.002, 1.0, "extent"))
    sampler = build_sampler(process)
    assert sampler.name == "circulant" and sampler.error <= 1e-5
    num = 40
    hyper = {"lengthscale": np.full(num, 12.0)}
    sampler.sample(jax.random.key(1), hyper, num)  # compiles what draws the normals
    start = time.process_time()
    fields = sampler.sample(jax.random.key(0), hyper, num).reshape(num, 100, 100)
    # A factorisation of such a matrix takes half a minute.
    assert time.process_time() - start < 10
    assert "distances" not in vars(process)
    for rows, columns in ((0, 1), (1, 0), (2, 3)):
        steps = fields[:, rows:, columns:] - fields[:, : 100 - rows, : 100 - columns]
        halves = (steps**2).mean(axis=(1, 2)) / 2
        scaled = 3**0.5 * 10 * np.hypot(rows, columns) / 12.0
        expected = 1 + 1e-6 - (1 + scaled) * np.exp(-scaled)
        assert abs(halves.mean() - expected) < 4.5 * halves.std(ddof=1) / np.sqrt(num)


def test_normals_that_would_fill_the_memory_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    process = gp(lattice(4, 5), **KERNELS["matern32"])
    sampler = CirculantSampler(process)
    key, lengths = jax.random.key(5), np.linspace(5.0, 40.0, 7)
    whole = sampler.sample(key, {"lengthscale": lengths[:3]}, 3)
    monkeypatch.setattr(samplers_base, "_MOST_NORMALS", 3 * sampler.latent_dim)
    np.testing.assert_array_equal(sampler.sample(key, {"lengthscale": lengths[:3]}, 3), whole)
    fields = sampler.sample(key, {"lengthscale": lengths}, 7)
    assert fields.shape == (7, 20)
    second = sampler.sample(jax.random.fold_in(key, 3), {"lengthscale": lengths[3:6]}, 3)
    np.testing.assert_array_equal(fields[3:6], second)
    assert len(np.unique(np.round(fields[:, 0], 6))) == 7
