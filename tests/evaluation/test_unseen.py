"""Prediction where there are no data: by hand, of a good decoder and of a broken one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from priorvae.areas.subset import split, subset
from priorvae.bundles import Bundle
from priorvae.config import GPConfig
from priorvae.errors import BundleError
from priorvae.evaluation.unseen import predict, unseen_fidelity
from priorvae.processes import build_process
from priorvae.processes.base import require_gaussian
from tests.maps import lattice
from tests.samples import places_bundle

WHOLE = lattice(6, 6)
NOISE = 0.3


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    """Areas that are kept, corners among them so that the box holds all, and areas left out."""
    kept, out = split(np.random.default_rng(3), len(WHOLE), 0.2)
    corners = np.array([0, 5, 30, 35])
    return np.union1d(kept, corners), np.setdiff1d(out, corners)


@pytest.fixture(scope="module")
def bundle(parts: tuple[np.ndarray, np.ndarray]) -> Bundle:
    lengthscale = {"distribution": "loguniform", "low": 15, "high": 60, "unit": "km"}
    config = GPConfig(kind="gp", kernel="matern32", lengthscale=lengthscale)  # type: ignore[arg-type]
    process = build_process(config, subset(WHOLE, parts[0]))
    return places_bundle(require_gaussian(process, "this test"), number=120)


def test_one_value_of_the_hyperparameters_is_ordinary_kriging_by_hand() -> None:
    covariance = np.array([[1.0, 0.6], [0.6, 1.0]])
    found = predict(
        lambda hyper: (np.array([0.5, -0.5]), covariance),
        [(1.0, {})],
        np.array([[1.2]]),
        np.array([0]),
        np.array([1]),
        0.5,
    )
    # E[f2 | y1] = m2 + k12 (y1 - m1) / (1 + s^2), its variance 1 - k12^2 / (1 + s^2).
    mean, sd = -0.5 + 0.6 * 0.7 / 1.25, np.sqrt(1 - 0.36 / 1.25)
    assert found.mean[0, 0] == pytest.approx(mean)
    assert found.low[0, 0] == pytest.approx(mean + norm.ppf(0.025) * sd)
    assert found.high[0, 0] == pytest.approx(mean + norm.ppf(0.975) * sd)


def test_hyperparameters_are_weighed_by_their_likelihood() -> None:
    # Nothing links the two areas, so the second has its prior, whichever the first makes likely.
    def moments(hyper: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(2), np.diag([hyper["v"], hyper["v"]])

    grid = [(0.25, {"v": 1.0}), (0.75, {"v": 4.0})]
    found = predict(moments, grid, np.array([[2.0]]), np.array([0]), np.array([1]), 1.0)
    one, four = 0.25 * norm.pdf(2, scale=2**0.5), 0.75 * norm.pdf(2, scale=5**0.5)
    below = sum(
        share / (one + four) * norm.cdf(found.low[0, 0], scale=sd)
        for share, sd in ((one, 1), (four, 2))
    )
    assert found.mean[0, 0] == 0 and below == pytest.approx(0.025, abs=1e-9)


def test_a_decoder_of_enough_cosines_predicts_as_the_process(
    bundle: Bundle, parts: tuple[np.ndarray, np.ndarray]
) -> None:
    found = unseen_fidelity(
        np.random.default_rng(0), bundle, WHOLE, parts[1], num_data=200, noise_sd=NOISE
    )
    assert found.ratio < 1.01 and found.num_data == 200
    # 200 data sets of 7 areas: the standard error of a share is .015 at most; three of them.
    assert abs(found.coverage - 0.95) < 0.045 and abs(found.exact_coverage - 0.95) < 0.045
    assert abs(found.coverage - found.exact_coverage) < 0.01


def test_a_decoder_that_shrinks_is_found_out(
    bundle: Bundle, parts: tuple[np.ndarray, np.ndarray]
) -> None:
    kernel = f"layers.{len(bundle.decoder.layers) - 1}.kernel"
    assert bundle.features is not None
    features = dict(bundle.features.weights)
    features["features.2.kernel"] = 0.5 * features["features.2.kernel"]
    weights = {**bundle.weights, kernel: 0.5 * bundle.weights[kernel]}
    broken = replace(bundle, weights=weights, features=replace(bundle.features, weights=features))
    found = unseen_fidelity(
        np.random.default_rng(0), broken, WHOLE, parts[1], num_data=200, noise_sd=NOISE
    )
    assert found.ratio > 1.02 and found.coverage < 0.85
    assert found.ratio - 1 > 5 * found.ratio_error


def test_areas_of_the_bundle_are_not_unseen(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="a000 is an area of the bundle"):
        unseen_fidelity(
            np.random.default_rng(0), bundle, WHOLE, np.array([0]), num_data=2, noise_sd=NOISE
        )
