"""Networks over areas: what they are given, where they start, and what training leaves alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import TypeAdapter

from priorvae.config import (
    CARConfig,
    GPConfig,
    ModelConfig,
    RegressionConfig,
    TrainingConfig,
    VAEConfig,
)
from priorvae.decoders import numpy_backend
from priorvae.decoders.layers import KernelAttention, SpatialGate, Sum
from priorvae.decoders.layers.records import nested
from priorvae.errors import ProcessError
from priorvae.objectives import build_objective
from priorvae.processes import Gaussian, build_process
from priorvae.processes.build import read_process
from priorvae.processes.roots import cholesky_root
from priorvae.training import build_draws, train
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
TRAINING = TrainingConfig(
    draws="random", batch_size=32, conditions_per_step=2, steps=6, warmup_steps=1, log_every=3,
    checkpoint_every=3, learning_rate=1e-2,
)  # fmt: skip


@pytest.fixture(scope="module")
def process() -> Gaussian:
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=LENGTHSCALE)  # type: ignore[arg-type]
    built = build_process(config, lattice(4, 5))
    assert isinstance(built, Gaussian)
    return built


def model(structure: str, **changes: Any) -> RegressionConfig:
    tokens = {"blocks": 1, "heads": 2} if structure == "attention" else {"blocks": 1}
    settings = {"hidden": (4, 6), "warm_start_sweeps": 30, "tokens": tokens, **changes}
    return RegressionConfig.model_validate({"type": "DeepRV", "structure": structure, **settings})


@pytest.mark.parametrize("structure", ["gmlp", "attention"])
def test_it_starts_as_the_gated_linear_map_beside_it(process: Gaussian, structure: str) -> None:
    objective = build_objective(model(structure), process)
    assert isinstance(objective.decoder.layers[0], Sum) and not objective.decoder.is_linear
    started = objective.initial(0)
    unit = jnp.full((1,), 0.3, jnp.float32)
    matrix = np.asarray(started.decoder(jnp.eye(20, dtype=jnp.float32), unit)).T
    root = process.root({"lengthscale": float(process.conditions[0].from_unit(0.3))})
    assert np.linalg.norm(matrix - root) < 0.05 * np.linalg.norm(root)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["gmlp", "attention"])
def test_training_moves_the_network_and_leaves_the_places(
    process: Gaussian, structure: str, tmp_path: Path
) -> None:
    objective = build_objective(model(structure), process)
    before = {k: np.asarray(v[...]) for k, v in objective.initial(0).decoder.weights.items()}
    source = build_draws(process, TRAINING, 0.0)
    after = train(objective, source, TRAINING, 0, tmp_path).weights
    objective.decoder.check_weights(after)
    centroids = process.areas.centroids
    assert centroids is not None
    box = (centroids - centroids.min(axis=0)) / np.ptp(centroids, axis=0).max()
    constants = [name for name in after if name.endswith(".places")]
    assert len(constants) == (1 if structure == "gmlp" else 2)
    for name in constants:
        np.testing.assert_array_equal(after[name], box.astype(np.float32))
    still = [n for n in after if n not in constants and np.array_equal(after[n], before[n])]
    assert not still
    # The weights alone say what was learnt: no process is needed to decode.
    hyper = {"lengthscale": float(process.conditions[0].from_unit(0.0))}
    assert np.isfinite(numpy_backend.decode(objective.decoder, after, np.ones(20), hyper)).all()


def test_the_blocks_are_as_configured(process: Gaussian) -> None:
    alone = {"warm_start": "none", "tokens": {"blocks": 3, "projection_layers": 2, "skip": "none"}}
    layers = build_objective(model("gmlp", **alone), process).decoder.layers
    inside = list(nested(layers))
    assert sum(isinstance(layer, SpatialGate) for layer in inside) == 3
    # Embedding and head of two each; a block has two before its gate and two behind it.
    assert sum(layer.kind == "dense" for layer in inside) == 2 + 3 * 4 + 2
    assert layers[0].kind == "tokens"
    heads = [x for x in nested(build_objective(model("attention"), process).decoder.layers)]
    assert [x.heads for x in heads if isinstance(x, KernelAttention)] == [2]


def test_layers_have_a_place_of_their_own() -> None:
    spatial = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
    stacked = read_process(
        {"kind": "multivariate", "outcomes": ["a", "b"], "components": [spatial, spatial],
         "loadings": {"a": [1.0, 0.5], "b": [0.0, 1.0]}}
    )  # fmt: skip
    process = build_process(stacked, lattice(3, 4))
    config = model("gmlp", root="cholesky", warm_start="none", tokens={"skip": "none"})
    weights = build_objective(config, process).initial(0).decoder.weights
    places = np.asarray(weights["layers.0.places"][...])
    assert places.shape == (24, 3)
    np.testing.assert_array_equal(places[:12, :2], places[12:, :2])
    np.testing.assert_array_equal(places[:, 2], np.repeat([0.0, 1.0], 12))


def test_a_map_without_places_is_refused() -> None:
    areas = lattice(3, 4)
    alpha = {"distribution": "uniform", "low": 0.0, "high": 0.9}
    config = CARConfig(kind="car", alpha=alpha)  # type: ignore[arg-type]
    process = build_process(config, replace(areas, centroids=None))
    with pytest.raises(ProcessError, match=r"needs their places, and .* is an adjacency alone"):
        build_objective(model("gmlp"), process)


def test_cholesky_draws_have_the_covariance_and_the_triangle(process: Gaussian) -> None:
    """The root to 1e-5; the covariance of 2,000 draws to 5 standard errors, at fixed seed."""
    config = TrainingConfig(draws="random", batch_size=4000, conditions_per_step=2)
    batch = build_draws(process, config, 0.0, "cholesky").batch(jax.random.key(0))
    assert batch.latents is not None
    for unit, draws, z in zip(batch.unit, batch.draws, batch.latents, strict=True):
        hyper = {"lengthscale": float(process.conditions[0].from_unit(float(unit[0])))}
        covariance = process.covariance(hyper)
        np.testing.assert_allclose(draws, z @ np.linalg.cholesky(covariance).T, atol=2e-4)
        found = np.cov(np.asarray(draws, dtype=float), rowvar=False)
        variance = np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2
        assert (np.abs(found - covariance) < 5 * np.sqrt(variance / len(draws))).all()
        # The first area depends on the first latent alone; not so with the symmetric root.
        np.testing.assert_allclose(draws[:, 0], z[:, 0] * covariance[0, 0] ** 0.5, atol=2e-4)


def test_a_singular_covariance_has_no_cholesky_factor() -> None:
    with pytest.raises(ProcessError, match=r"singular.*use `model.root: symmetric`"):
        cholesky_root(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": "film-mlp", "tokens": {}}, "no blocks over areas: leave out `tokens`"),
        ({"structure": "gmlp", "hidden": (4, 5, 6)}, "two widths, between its blocks and within"),
        ({"structure": "gmlp", "tokens": {"heads": 2}}, "a gmlp has no heads"),
        ({"structure": "gmlp", "tokens": {"skip": "none"}}, "without a skip has no warm start"),
        ({"structure": "film-mlp", "root": "cholesky"}, "cholesky needs `none`"),
        ({"type": "GatedLinear", "structure": "attention"}, "use DeepRV for attention"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TypeAdapter(ModelConfig).validate_python({"type": "DeepRV", **changes})


def test_an_encoder_has_no_network_over_areas() -> None:
    with pytest.raises(ValueError, match=r"one latent an area.*use `type: DeepRV`"):
        VAEConfig.model_validate({"type": "PriorCVAE", "structure": "gmlp", "encoder": "diagonal"})
