from collections.abc import Mapping

import jax
import numpy as np
import pytest

from priorvae.config import CertificateConfig
from priorvae.errors import BundleError
from priorvae.evaluation.certificate import Certificate, certify
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.evaluation.targets import Mixture, condition_grid
from priorvae.processes import GP, Condition
from priorvae.processes.mixture import mixture_covariance
from tests.evaluation.linear import Linear

KEY = jax.random.key(4)
FIRST, SECOND = 7, 28


def judge(
    decoder: Linear, process: GP, num_conditions: int = 3
) -> tuple[PriorFidelity, Certificate]:
    found = evaluate_prior(
        KEY,
        decoder,
        process,
        num_conditions=num_conditions,
        num_draws=400,
        num_moment_draws=4000,
    )
    return found, certify(found, None, CertificateConfig())


def failed(certificate: Certificate) -> set[str]:
    return {figure.name for figure in certificate.failures}


def test_the_process_itself_passes(process: GP) -> None:
    found, certificate = judge(Linear(process, process.root), process, num_conditions=7)
    assert certificate.passed, certificate.summary()
    assert found.exact
    assert len(found.points) == 7
    fraction = found.worst("importance_fraction")
    assert fraction is not None
    assert fraction.value == pytest.approx(1, abs=1e-6)


def test_five_percent_less_variance_fails_for_its_sds(process: GP) -> None:
    decoder = Linear(process, lambda hyper: np.sqrt(0.949) * process.root(hyper))
    _, certificate = judge(decoder, process)
    figures = {figure.name: figure for figure in certificate.figures}
    assert {"mean_sd", "covariance_error"} == failed(certificate)
    assert figures["mean_sd"].value == pytest.approx(np.sqrt(0.949))
    # It shrinks everywhere alike: no correlation is wrong.
    assert figures["neighbour_correlation"].value == pytest.approx(1)


def test_an_ignored_lengthscale_fails_at_the_lengthscale_furthest_away(process: GP) -> None:
    middle = float(process.conditions[0].from_unit(0.2))
    decoder = Linear(process, lambda hyper: process.root({"lengthscale": middle}))
    found, certificate = judge(decoder, process)
    names = failed(certificate)
    assert {"covariance_error", "neighbour_correlation", "bures_wasserstein"} <= names
    assert "mmd_pvalue" in names
    assert not {"mean_sd", "worst_sd"} & names
    worst = found.worst("covariance_error")
    assert worst is not None
    assert worst.hyper["lengthscale"] == pytest.approx(process.conditions[0].low)


def test_two_swapped_areas_fail_and_are_named(process: GP) -> None:
    def swapped(hyper: Mapping[str, float]) -> np.ndarray:
        root = process.root(hyper)
        root[[FIRST, SECOND]] = root[[SECOND, FIRST]]
        return root

    _, certificate = judge(Linear(process, swapped), process)
    figures = {figure.name: figure for figure in certificate.figures}
    ids = process.areas.ids
    assert "covariance_error" in failed(certificate)
    assert figures["covariance_error"].areas[0] in (ids[FIRST], ids[SECOND])
    assert set(figures["neighbour_correlation"].areas) & {ids[FIRST], ids[SECOND]}
    # Marginally nothing is wrong.
    assert not {"mean_sd", "worst_sd"} & failed(certificate)


def test_a_wrong_kernel_fails_for_its_correlations(process: GP) -> None:
    other = GP(process.areas, "rbf", process.conditions, {}, 1e-6)
    _, certificate = judge(Linear(process, other.root), process)
    assert {"covariance_error", "neighbour_correlation"} <= failed(certificate)
    assert not {"mean_sd", "worst_sd"} & failed(certificate)


def test_one_area_too_narrow_is_named(process: GP) -> None:
    def narrow(hyper: Mapping[str, float]) -> np.ndarray:
        root = process.root(hyper)
        root[FIRST] *= 0.9
        return root

    _, certificate = judge(Linear(process, narrow), process)
    figures = {figure.name: figure for figure in certificate.figures}
    assert failed(certificate) == {"worst_sd"}
    assert figures["worst_sd"].value == pytest.approx(0.9)
    assert figures["worst_sd"].areas == (process.areas.ids[FIRST],)
    assert process.areas.ids[FIRST] in certificate.summary()


def test_too_few_latents_fail_the_importance_fraction(process: GP) -> None:
    decoder = Linear(process, lambda hyper: process.root(hyper)[:, :-1])
    found, _ = judge(decoder, process)
    worst = found.worst("importance_fraction")
    assert worst is not None
    assert worst.value == 0


def test_moments_from_draws_stand_beside_their_null(process: GP) -> None:
    decoder = Linear(process, process.root, is_linear=False)
    found, certificate = judge(decoder, process)
    assert certificate.passed, certificate.summary()
    assert not found.exact
    assert found.worst("importance_fraction") is None
    for point in found.points:
        assert abs(point.worst_sd - 1) < 3 * abs(point.null["worst_sd"] - 1)


def test_a_distance_from_draws_is_that_of_the_covariances(process: GP) -> None:
    """Not that of a sample covariance, of which chance is most; and a real one is still seen.

    W2^2 / tr K of a root scaled by s is (1 - s)^2. Chance alone adds (n + 1) / 4 N where areas are
    independent; five standard errors where all are one are 5 (1 - s) sqrt(2 / N) = .022 at s = .8.
    """
    chance = (len(process.areas) + 1) / (4 * 4000)
    for scale, tolerance in ((1.0, chance / 4), (0.8, 0.022)):
        decoder = Linear(process, lambda h, s=scale: s * process.root(h), is_linear=False)  # type: ignore[misc]
        for point in judge(decoder, process)[0].points:
            assert point.bures_wasserstein == pytest.approx((1 - scale) ** 2, abs=tolerance)


def test_a_decoder_without_conditions_is_judged_by_the_mixture(process: GP) -> None:
    class Averaged(Linear):
        def sample(self, key: jax.Array, hyper: object, num_draws: int) -> np.ndarray:
            return Mixture(process).sample(key, {}, num_draws)  # type: ignore[return-value]

    decoder = Averaged(process, process.root, is_linear=False)
    decoder.conditions = ()
    found, certificate = judge(decoder, process)
    assert found.mixture
    assert [point.hyper for point in found.points] == [{}]
    assert certificate.passed, certificate.summary()

    decoder = Linear(process, lambda hyper: process.root({"lengthscale": 3.0}))
    decoder.conditions = ()
    _, certificate = judge(decoder, process)
    assert {"covariance_error", "bures_wasserstein"} <= failed(certificate)


def test_the_mixture_has_the_covariance_of_its_draws(process: GP) -> None:
    draws = Mixture(process).sample(KEY, {}, 20_000)
    covariance = mixture_covariance(process)
    error = np.linalg.norm(draws.T @ draws / len(draws) - covariance)
    # The error of a sample covariance, doubled for the mixture's heavier tails.
    expected = np.sqrt((np.trace(covariance) ** 2 + np.sum(covariance**2)) / len(draws))
    assert error < 2 * expected


def test_the_grid_spans_one_or_several_conditions(lengthscale: Condition) -> None:
    assert condition_grid((), 7) == [{}]
    one = [point["lengthscale"] for point in condition_grid((lengthscale,), 7)]
    np.testing.assert_allclose(np.diff(np.log(one)), np.log(10) / 6)
    alpha = Condition("alpha", "", 0.0, 0.99, "log1m", "uniform")
    two = condition_grid((lengthscale, alpha), 7)
    assert len(two) == 25
    assert {"lengthscale": lengthscale.low, "alpha": 0.99} in [
        {k: pytest.approx(v) for k, v in point.items()} for point in two
    ]


def test_other_areas_are_refused(process: GP) -> None:
    decoder = Linear(process, process.root)
    decoder.sites = decoder.sites[::-1]
    with pytest.raises(BundleError, match="another order"):
        evaluate_prior(KEY, decoder, process)
    decoder.sites = ("elsewhere", *process.areas.ids[1:])
    with pytest.raises(BundleError, match="elsewhere"):
        evaluate_prior(KEY, decoder, process)
