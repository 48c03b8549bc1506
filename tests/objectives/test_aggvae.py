"""aggVAE: one decoder for boundary systems that nest, whose joint covariance is singular."""

from typing import Any

import geopandas as gpd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely
from flax import nnx

from priorvae.areas import read_areas
from priorvae.config import VAEConfig
from priorvae.decoders import numpy_backend
from priorvae.objectives import VAE, Batch, build_objective
from priorvae.objectives.bounds import AutoEncoder
from priorvae.processes import Gaussian, Process, build_process, symmetric_root
from priorvae.processes.base import require_gaussian
from priorvae.processes.build import read_process
from priorvae.processes.mixture import mixture_covariance

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
GP = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Gaussian:
    """16 squares of 1 km and the 4 blocks of 2 km that they make up."""
    x, y = 2000 * np.array([0, 1, 0, 1]), 2000 * np.array([0, 0, 1, 1])
    path = tmp_path_factory.mktemp("maps") / "blocks.gpkg"
    blocks = {"id": list("abcd")}
    gpd.GeoDataFrame(blocks, geometry=shapely.box(x, y, x + 2000, y + 2000), crs=32617).to_file(
        path
    )
    record = {
        "kind": "aggregated", "of": GP, "cells": 64,
        "systems": {"block": {"source": str(path), "id": "id", "crs": "local"}},
    }  # fmt: skip
    return require_gaussian(build_process(read_process(record), read_areas("grid:4x4")), "this")


def objective_of(process: Process, **changes: Any) -> VAE:
    return build_objective(VAEConfig.model_validate({"type": "aggVAE", **changes}), process)  # type: ignore[return-value]


def matrix(objective: VAE, hyper: dict[str, float]) -> np.ndarray:
    weights = objective.start(0)
    assert weights is not None
    return numpy_backend.matrix(objective.decoder, weights, hyper)


def squares_of(process: Process, block: str) -> list[int]:
    row, column = divmod("abcd".index(block), 2)
    names = [f"r{4 - 2 * row - i}c{2 * column + j + 1}" for i in (0, 1) for j in (0, 1)]
    return [process.areas.ids.index(name) for name in names]


def test_blocks_are_the_means_of_their_squares(nested: Gaussian) -> None:
    """The covariance has rank 16 of 20, and a decoder started at its root knows that."""
    objective = objective_of(nested)
    assert [c.name for c in objective.decoder.conditions] == ["lengthscale"]
    for value in nested.conditions[0].grid(3):
        hyper = {"lengthscale": float(value)}
        exact = nested.covariance(hyper)
        assert np.linalg.matrix_rank(exact, tol=1e-9) == 16
        root = matrix(objective, hyper)
        error = np.linalg.norm(root @ root.T - exact) / np.linalg.norm(exact)
        assert error < 0.01
        for block in "abcd":
            own = root[nested.areas.ids.index(f"block:{block}")]
            np.testing.assert_allclose(own, root[squares_of(nested, block)].mean(axis=0), atol=5e-3)


def test_without_conditions_it_stands_for_the_mixture(nested: Gaussian) -> None:
    objective = objective_of(nested, conditional=False)
    assert objective.decoder.conditions == ()
    root = matrix(objective, {})
    np.testing.assert_allclose(root @ root.T, mixture_covariance(nested), atol=1e-6)


def test_the_bound_is_the_likelihood_where_the_covariance_is_singular(nested: Gaussian) -> None:
    """`-log N(y; 0, AA' + s^2 I)` of noisy columns, lower than with weights a tenth less."""
    objective = objective_of(nested, likelihood_variance=0.01)
    model, noise = objective.initial(0), objective.variance * np.eye(20)
    weights = {name: np.asarray(v[...]) for name, v in model.decoder.weights.items()}
    hyper = {"lengthscale": float(nested.conditions[0].from_unit(0.4))}
    a = numpy_backend.matrix(objective.decoder, weights, hyper)
    noisy, implied = nested.covariance(hyper) + noise, a @ a.T + noise
    draws = np.sqrt(20) * symmetric_root(noisy)
    batch = Batch(jnp.full((1, 1), 0.4, jnp.float32), jnp.asarray(draws[None], jnp.float32))
    trace = np.trace(np.linalg.solve(implied, noisy))
    exact = 0.5 * (trace + np.linalg.slogdet(implied / objective.variance)[1]) / 20
    loss = jax.jit(lambda scale: objective.loss(_scaled(model, scale), batch, jax.random.key(0))[0])
    assert float(loss(1.0)) == pytest.approx(exact, rel=1e-4)
    assert float(loss(0.9)) > float(loss(1.0))
    assert jnp.isfinite(jax.grad(loss)(1.0))


def _scaled(model: AutoEncoder, scale: jax.Array) -> AutoEncoder:
    """Encoder and decoder with the last kernel of either branch multiplied."""
    graph, params = nnx.split(model)
    for part in (params["decoder"]["weights"], params["encoder"]["network"]["weights"]):
        for last in ("layers.0.0.1.kernel", "layers.0.1.2.kernel"):
            part[last] = part[last].replace(part[last][...] * scale)
    return nnx.merge(graph, params)
