"""The projection on cosines: against quadrature by hand, and against the kernel it tends to."""

from typing import Any

import numpy as np
import pytest

from priorvae.areas.box import Box
from priorvae.areas.types import Areas
from priorvae.config import CARConfig, GPConfig
from priorvae.errors import ProcessError
from priorvae.processes import GP, build_process
from priorvae.processes.cosines import CosineProjection, require_continuous
from priorvae.processes.kernels import Separation
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}


def gp(areas: Areas, **more: Any) -> GP:
    config = {"kind": "gp", "kernel": "rbf", "lengthscale": LENGTHSCALE, **more}
    process = build_process(GPConfig.model_validate(config), areas)
    assert isinstance(process, GP)
    return process


def midpoints(box: Box, number: int) -> np.ndarray:
    axes = [
        low + side * (np.arange(number) + 0.5) / number
        for low, side in zip(box.low, box.sides, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def separation(a: np.ndarray, b: np.ndarray) -> Separation:
    apart = np.moveaxis(a[:, None] - b[None], -1, 0)
    distance = np.hypot(*apart)
    direction = apart / np.where(distance > 0, distance, 1.0)
    direction[0] += distance == 0
    return Separation(distance, direction)


def test_cosines_are_orthonormal_over_the_box() -> None:
    process = gp(lattice(4, 6))
    projection = CosineProjection.build(process, Box.around(process.areas, 0.1), 40)
    # 24 midpoints integrate products of cosines below the 24th exactly.
    features = projection.features(midpoints(projection.box, 24))
    np.testing.assert_allclose(features.T @ features / len(features), np.eye(40), atol=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "anisotropy": {
                "ratio": {"distribution": "constant", "value": 2.0},
                "angle": {"distribution": "constant", "value": 30.0},
            }
        },
    ],
    ids=["isotropic", "anisotropic"],
)
def test_the_weights_covariance_is_its_fourfold_integral(more: dict[str, Any]) -> None:
    process = gp(lattice(4, 6), **more)
    projection = CosineProjection.build(process, Box.around(process.areas, 0.1), 25)
    places = midpoints(projection.box, 40)
    hyper = {"lengthscale": 12.0}
    kernel = process.correlation(separation(places, places), hyper)
    features = projection.features(places) / len(places)
    expected = features.T @ kernel @ features
    difference = projection.covariance(hyper) - expected
    noise = np.median(np.diag(difference))
    # The midpoint rule's own error is of order (pi j / 40)^2 / 24 < 1e-2 for the highest cosines.
    assert np.linalg.norm(difference - noise * np.eye(25)) / np.linalg.norm(expected) < 5e-3
    # What is missing of the variance came back as noise, the same for every cosine.
    assert noise > 1e-4


@pytest.mark.parametrize("areas", [lattice(6, 6), lattice(1, 12)], ids=["plane", "line"])
@pytest.mark.parametrize("kernel", ["rbf", "matern32", "matern12"])
def test_enough_cosines_are_the_process_between_its_areas(areas: Areas, kernel: str) -> None:
    process = gp(areas, kernel=kernel)
    box = Box.around(areas, 0.05)
    projection = CosineProjection.build(process, box)
    assert projection.error <= 0.03
    # Fewer are not enough, so that `auto` takes no more than it needs.
    fewer = CosineProjection.build(process, box, int(projection.number / 1.25))
    assert projection.number == 20 or fewer.error > 0.03
    # And so between the areas, where nothing was compared: places at random, 7 % at most.
    places = np.random.default_rng(0).uniform(
        areas.centroids.min(axis=0),
        areas.centroids.max(axis=0),
        (60, 2),  # type: ignore[union-attr]
    )
    features = projection.features(places)
    for lengthscale in process.conditions[0].grid(3):
        hyper = {"lengthscale": float(lengthscale)}
        exact = process.correlation(separation(places, places), hyper)
        held = features @ projection.covariance(hyper) @ features.T
        assert np.linalg.norm(held - exact) / np.linalg.norm(exact) < 0.07


def test_more_cosines_are_closer() -> None:
    process = gp(lattice(6, 6), kernel="matern32")
    box = Box.around(process.areas, 0.05)
    errors = [CosineProjection.build(process, box, n).error for n in (50, 100, 200, 400)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01


def test_the_variance_is_one_on_average_however_few_the_cosines() -> None:
    process = gp(lattice(6, 6), kernel="matern12")
    projection = CosineProjection.build(process, Box.around(process.areas, 0.05), 10)
    inside = np.stack(np.meshgrid(np.linspace(0, 50, 24), np.linspace(0, 50, 24)), -1).reshape(
        -1, 2
    )
    features = projection.features(inside)
    variance = np.einsum(
        "si,ij,sj->s", features, projection.covariance({"lengthscale": 12.0}), features
    )
    assert variance.mean() == pytest.approx(1.0, abs=1e-5)


def test_a_process_on_areas_alone_has_no_places_between_them() -> None:
    car = build_process(
        CARConfig.model_validate(
            {"kind": "car", "alpha": {"distribution": "uniform", "low": 0, "high": 0.9}}
        ),
        lattice(3, 4),
    )
    with pytest.raises(ProcessError, match=r"a piVAE needs a prior at every place .* car has none"):
        require_continuous(car, "a piVAE")
