"""A bundle at other places than its areas: the same numbers there, and refusals elsewhere."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
import safetensors.numpy
from scipy.spatial.distance import cdist

from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.config import GPConfig
from priorvae.errors import AreasError, BundleError, ConditionError
from priorvae.inference.prior import SpatialPrior
from priorvae.numpyro import spatial_effect
from priorvae.processes import Gaussian, build_process
from priorvae.processes.base import require_gaussian
from tests.bundles.numpy_reader import golden_error
from tests.maps import lattice
from tests.samples import places_bundle, reference_bundle

HYPER = {"lengthscale": 20.0}


@pytest.fixture(scope="module")
def process() -> Gaussian:
    lengthscale = {"distribution": "loguniform", "low": 15, "high": 60, "unit": "km"}
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=lengthscale)  # type: ignore[arg-type]
    return require_gaussian(build_process(config, lattice(4, 5)), "this test")


@pytest.fixture(scope="module")
def bundle(process: Gaussian) -> Bundle:
    return places_bundle(process, number=120)


@pytest.fixture
def directory(bundle: Bundle, tmp_path: Path) -> Path:
    return write_bundle(bundle, tmp_path / "bundle")


def test_at_its_own_areas_it_is_the_bundle(directory: Path) -> None:
    bundle = load_bundle(directory)
    z = np.random.default_rng(0).normal(size=bundle.latent_dim)
    again = bundle.at(bundle.areas)
    assert again.sites == bundle.area_ids
    np.testing.assert_allclose(
        again.decode_numpy(z, HYPER), bundle.decode_numpy(z, HYPER), rtol=1e-10
    )
    compiled = again.decode(jnp.asarray(z), HYPER)
    np.testing.assert_allclose(compiled, bundle.decode_numpy(z, HYPER), rtol=1e-10)


def test_between_its_areas_it_is_the_process(bundle: Bundle) -> None:
    rng = np.random.default_rng(1)
    assert bundle.areas.centroids is not None
    known = bundle.areas.centroids
    places = rng.uniform(known.min(axis=0), known.max(axis=0), (50, 2))
    there = bundle.at(places)
    for lengthscale in (15.0, 30.0, 60.0):
        hyper = {"lengthscale": lengthscale}
        scaled = (
            3**0.5
            * np.concatenate([cdist(places, known), cdist(places, places)], axis=1)
            / lengthscale
        )
        exact = (1 + scaled) * np.exp(-scaled)
        both = np.concatenate([bundle.matrix(hyper), there.matrix(hyper)])
        # 120 cosines: the covariance with the areas and of the places, 1 % in Frobenius's norm.
        error = np.linalg.norm(there.matrix(hyper) @ both.T - exact) / np.linalg.norm(exact)
        assert error < 0.01


def test_it_survives_storage_and_the_plain_reader(bundle: Bundle, directory: Path) -> None:
    places = np.array([[3.0, 4.0], [21.5, 17.0]])
    z = np.random.default_rng(0).normal(size=(3, bundle.latent_dim))
    stored = load_bundle(directory).at(places)
    assert stored.sites == ("place 1", "place 2")
    np.testing.assert_allclose(
        stored.decode_numpy(z, HYPER), bundle.at(places).decode_numpy(z, HYPER), rtol=1e-10
    )
    assert golden_error(directory) < 1e-6
    card = (directory / "README.md").read_text(encoding="utf-8")
    row = "| other places | `prior.at(places)`, -2.5 to 42.5 km east and -2.5 to 32.5 km north |"
    assert f"\n{row}\n| certificate |" in card


def test_it_is_a_prior_for_a_model(bundle: Bundle) -> None:
    there = bundle.at([[3.0, 4.0], [21.5, 17.0], [30.0, 2.0]])  # type: ignore[arg-type]
    assert isinstance(there, SpatialPrior)

    def model() -> jax.Array:
        return spatial_effect("f", there, scale=2.0)

    seeded = numpyro.handlers.seed(model, jax.random.key(0))
    trace = numpyro.handlers.trace(seeded).get_trace()
    z, lengthscale = trace["f_z"]["value"], trace["f_lengthscale"]["value"]
    f = trace["f"]["value"]
    assert f.shape == (3,)
    np.testing.assert_allclose(f, 2 * there.decode(z, {"lengthscale": lengthscale}), rtol=1e-10)
    with pytest.raises(ConditionError, match="outside the trained range"):
        there.decode(z, {"lengthscale": 100.0})


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([[10.0, 10.0], [500.0, 10.0]], r"1 of 2 places lie outside .*place 2 is at 500, 10"),
        ([10.0, 10.0], "rows of two finite coordinates"),
        ([[10.0, np.nan]], "rows of two finite coordinates"),
        (np.zeros((0, 2)), "rows of two finite coordinates"),
    ],
)
def test_other_places_are_refused(bundle: Bundle, places: Any, message: str) -> None:
    with pytest.raises(AreasError, match=message):
        bundle.at(places)


def test_areas_of_another_projection_are_refused(bundle: Bundle) -> None:
    here, elsewhere = (replace(bundle.areas, crs=crs) for crs in ("EPSG:32616", "EPSG:32617"))
    boundary = bundle.info.boundary.model_copy(update={"crs": here.crs})
    projected = replace(bundle, info=bundle.info.model_copy(update={"boundary": boundary}))
    assert projected.at(here).sites == here.ids
    with pytest.raises(
        AreasError, match=r"is in EPSG:32617, and the decoder's map lattice in EPSG"
    ):
        projected.at(elsewhere)


def test_other_types_know_their_areas_only(process: Gaussian) -> None:
    with pytest.raises(
        BundleError, match="a reference knows its prior at its areas only; train a piVAE"
    ):
        reference_bundle(process).at([[10.0, 10.0]])  # type: ignore[arg-type]


# -- what must be refused ------------------------------------------------------------------------


def tamper(
    directory: Path,
    weights: Callable[[dict[str, np.ndarray]], None] = lambda w: None,
    info: Callable[[dict[str, Any]], None] = lambda i: None,
) -> None:
    """Change a bundle and recompute its sums, as someone would who means to deceive."""
    path, place = directory / "decoder.safetensors", directory / "bundle.json"
    stored, record = safetensors.numpy.load_file(path), json.loads(place.read_text())
    weights(stored)
    info(record)
    path.write_bytes(safetensors.numpy.save(stored))
    data = path.read_bytes()
    record["files"][path.name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    place.write_text(json.dumps(record))
    names = [*record["files"], place.name]
    sums = [f"{hashlib.sha256((directory / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (directory / "SHA256SUMS").write_text("".join(sums))


def scale(weights: dict[str, np.ndarray]) -> None:
    weights["features.2.kernel"] = 1.001 * weights["features.2.kernel"]


def drop(weights: dict[str, np.ndarray]) -> None:
    del weights["features.0.bias"]


def forget(info: dict[str, Any]) -> None:
    info["features"] = None


def move(info: dict[str, Any]) -> None:
    info["features"]["low"][0] += 1.0


def flip(info: dict[str, Any]) -> None:
    info["features"]["high"][0] = -1000.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": scale}, r"features: at the areas they differ .* by 0\.001"),
        ({"weights": drop}, r"features: .*'layers.0.bias' is missing"),
        ({"info": forget}, "features: decoder.safetensors has weights, and bundle.json no records"),
        ({"info": move}, "features: at the areas they differ"),
        ({"info": flip}, "no rectangle lies between"),
    ],
    ids=["scaled", "missing", "no records", "box moved", "no box"],
)
def test_changed_features_are_refused(directory: Path, change: Any, message: str) -> None:
    load_bundle(directory)
    tamper(directory, **change)
    with pytest.raises(BundleError, match=message):
        load_bundle(directory)
