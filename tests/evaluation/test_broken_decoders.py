"""Decoders that are broken on purpose: each fails the default certificate for its own reason.

The map has 36 areas, the prior is a Matern-3/2 with lengthscale in [0.1, 1] of its side. What is
exact is compared exactly; the MMD, a test at level 0.01, is left out where a figure is exact.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pytest

from priorvae.areas import read_areas
from priorvae.config import CertificateConfig
from priorvae.evaluation.certificate import Certificate, Figure, certify
from priorvae.evaluation.prior import evaluate_prior
from priorvae.objectives import reference_decoder
from priorvae.processes import GP, Condition
from tests.evaluation.linear import Linear
from tests.samples import reference_bundle

KEY = jax.random.key(17)
NEAR, NEIGHBOUR, FAR = 7, 8, 28
Change = Callable[[np.ndarray], np.ndarray]


class Shifted(Linear):
    """A decoder with a mean: a matrix no longer says all of it, and it is judged by draws."""

    def __init__(self, process: GP, mean: np.ndarray) -> None:
        super().__init__(process, process.root, is_linear=False)
        self._mean = mean

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> jax.Array:
        return super().sample(key, hyper, num_draws) + self._mean


def changed(process: GP, change: Change, **options: Any) -> Linear:
    """The right decoder, but for a change to its matrix."""
    return Linear(process, lambda hyper: change(process.root(hyper)), **options)


def judge(decoder: Any, process: GP, num_conditions: int = 3) -> Certificate:
    found = evaluate_prior(
        KEY, decoder, process, num_conditions=num_conditions, num_draws=100, num_moment_draws=20_000
    )
    return certify(found, None, CertificateConfig())


def failed(certificate: Certificate) -> set[str]:
    return {figure.name for figure in certificate.failures}


def figure(certificate: Certificate, name: str) -> Figure:
    return next(f for f in certificate.figures if f.name == name)


def swapped(*areas: int) -> Change:
    def change(root: np.ndarray) -> np.ndarray:
        moved = root.copy()
        moved[list(areas)] = root[list(areas)[::-1]]
        return moved

    return change


def scaled(area: int, factor: float) -> Change:
    def change(root: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(root))[:, None] == area, factor * root, root)

    return change


def test_the_unbroken_one_passes_the_same_thresholds(process: GP) -> None:
    certificate = judge(reference_bundle(process), process)
    assert certificate.passed, certificate.summary()
    assert figure(certificate, "mean_sd").value == pytest.approx(1, abs=1e-6)
    assert figure(certificate, "worst_edge").value == pytest.approx(0, abs=1e-5)
    assert reference_decoder(process)[0].is_linear


def test_the_unbroken_one_passes_where_moments_come_from_draws(process: GP) -> None:
    certificate = judge(Linear(process, process.root, is_linear=False), process)
    assert certificate.passed, certificate.summary()
    # The largest of 36 areas' means over 3 values: within 4.5 standard errors of 20,000 draws.
    assert abs(figure(certificate, "worst_mean").value) < 4.5 / np.sqrt(20_000)


def test_five_percent_less_variance(process: GP) -> None:
    certificate = judge(changed(process, lambda root: np.sqrt(0.95) * root), process)
    shrunk = figure(certificate, "mean_sd")
    assert not shrunk.passed and shrunk.value == pytest.approx(np.sqrt(0.95))
    assert shrunk.value < 1 - CertificateConfig().mean_sd - 0.005  # and not by a hair
    # No correlation is wrong, and no area more than another.
    assert not failed(certificate) - {"mean_sd", "covariance_error", "mmd_pvalue"}
    assert figure(certificate, "neighbour_correlation").value == pytest.approx(1)


def test_five_percent_less_variance_is_seen_in_draws(process: GP) -> None:
    decoder = changed(process, lambda root: np.sqrt(0.95) * root, is_linear=False)
    certificate = judge(decoder, process)
    shrunk = figure(certificate, "mean_sd")
    # A mean of 36 correlated sds has at most the standard error of one: sd / sqrt(2 draws). The
    # furthest of three such is taken.
    error = np.sqrt(0.95 / 40_000)
    assert not shrunk.passed and not shrunk.undecided
    assert np.sqrt(0.95) - 4 * error < shrunk.value < np.sqrt(0.95) + error


def test_theta_ignored(process: GP, lengthscale: Condition) -> None:
    middle = {"lengthscale": float(lengthscale.from_unit(0.0))}
    certificate = judge(Linear(process, lambda hyper: process.root(middle)), process)
    assert {"covariance_error", "neighbour_correlation", "bures_wasserstein"} <= failed(certificate)
    assert not {"mean_sd", "worst_sd"} & failed(certificate)
    # Worst at an end of the range, where the frozen lengthscale is furthest from the right one.
    ends = (lengthscale.low, lengthscale.high)
    for name in ("covariance_error", "neighbour_correlation", "bures_wasserstein"):
        place = figure(certificate, name).hyper["lengthscale"]
        assert any(place == pytest.approx(end) for end in ends), (name, place)
    assert figure(certificate, "neighbour_correlation").hyper["lengthscale"] == pytest.approx(
        lengthscale.low
    )


@pytest.mark.parametrize("other", [NEIGHBOUR, FAR], ids=["neighbours", "far apart"])
def test_two_areas_swapped(other: int, process: GP) -> None:
    certificate = judge(changed(process, swapped(NEAR, other)), process)
    ids = process.areas.ids
    assert {"worst_edge", "covariance_error"} <= failed(certificate)
    for name in ("worst_edge", "covariance_error"):
        assert set(figure(certificate, name).areas) & {ids[NEAR], ids[other]}, name
    # Each area still varies as it should.
    assert not {"mean_sd", "worst_sd"} & failed(certificate)


def test_two_neighbours_swapped_among_many_areas() -> None:
    """On 676 areas no figure of the whole map sees it; that of single neighbours does."""
    areas = read_areas("grid:26x26")
    assert areas.extent is not None
    low, high = 0.05 * areas.extent, areas.extent
    condition = Condition("lengthscale", "km", low, high, "log", "loguniform")
    process = GP(areas, "matern32", (condition,), {}, 1e-6)
    at, beside = 13 * 26 + 12, 13 * 26 + 13
    root = process.root({"lengthscale": low})
    fixed = GP(areas, "matern32", (), {"lengthscale": low}, 1e-6)
    certificate = judge(Linear(fixed, lambda hyper: swapped(at, beside)(root)), fixed)
    assert failed(certificate) == {"worst_edge"}
    assert set(figure(certificate, "worst_edge").areas) & {areas.ids[at], areas.ids[beside]}


@pytest.mark.parametrize(
    ("kernel", "sign"), [("matern12", -1), ("rbf", 1)], ids=["too rough", "too smooth"]
)
def test_a_wrong_kernel(kernel: str, sign: int, process: GP) -> None:
    other = GP(process.areas, kernel, process.conditions, {}, 1e-6)
    certificate = judge(Linear(process, other.root), process)
    expected = {"covariance_error", "neighbour_correlation", "worst_edge", "bures_wasserstein"}
    assert expected <= failed(certificate)
    # At its lengthscale the rough kernel correlates neighbours too little, the smooth too much.
    assert sign * (figure(certificate, "neighbour_correlation").value - 1) > 0.05
    assert sign * figure(certificate, "worst_edge").value > 0.1
    assert not {"mean_sd", "worst_sd"} & failed(certificate)


@pytest.mark.parametrize("factor", [0.94, 1.06], ids=["narrow", "wide"])
def test_one_area_of_another_width(factor: float, process: GP) -> None:
    certificate = judge(changed(process, scaled(FAR, factor)), process)
    assert failed(certificate) - {"mmd_pvalue"} == {"worst_sd"}
    worst = figure(certificate, "worst_sd")
    assert worst.value == pytest.approx(factor)
    assert worst.areas == (process.areas.ids[FAR],)
    assert process.areas.ids[FAR] in certificate.summary()


def test_one_area_shifted(process: GP) -> None:
    """A third of an sd in one area of 36: the distance of the whole is 0.003, and passes."""
    mean = np.zeros(process.size)
    mean[FAR] = -1 / 3
    certificate = judge(Shifted(process, mean), process)
    assert failed(certificate) - {"mmd_pvalue"} == {"worst_mean"}
    worst = figure(certificate, "worst_mean")
    assert worst.areas == (process.areas.ids[FAR],)
    # Furthest of three values, each with the standard error of 20,000 draws.
    assert worst.value == pytest.approx(-1 / 3, abs=4 / np.sqrt(20_000))
    assert worst.null is not None and abs(worst.null) < 0.04


def test_every_area_shifted(process: GP) -> None:
    certificate = judge(Shifted(process, np.full(process.size, 0.2)), process)
    assert {"worst_mean", "bures_wasserstein"} <= failed(certificate)
    # |m|^2 / tr K = 0.04 n / n, plus what sampling adds: about a tenth of it.
    assert figure(certificate, "bures_wasserstein").value == pytest.approx(0.04, rel=0.2)
    assert not {"mean_sd", "worst_sd", "worst_edge"} & failed(certificate)
