"""Judging a decoder of a process that is known by its draws alone: right ones, and wrong ones."""

from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
import pytest

from priorvae.config import CertificateConfig
from priorvae.errors import ProcessError
from priorvae.evaluation import figures, metrics
from priorvae.evaluation.certificate import Certificate, certify
from priorvae.evaluation.moments import Moments, compare_moments
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.evaluation.targets import Simulated, build_target
from priorvae.processes.base import Hyper
from priorvae.processes.function import FunctionProcess
from tests.maps import lattice
from tests.simulators import LOGNORMAL, SIGMA, W, build, lognormal_moments

KEY = jax.random.key(11)
Change = Callable[[np.ndarray, Hyper], np.ndarray]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> FunctionProcess:
    return build(tmp_path_factory.mktemp("jax"), LOGNORMAL, lattice(4, 5), w=W, sigma=SIGMA)


class Itself:
    """The process as its own decoder: right, or changed on purpose."""

    is_linear = False

    def __init__(self, process: FunctionProcess, change: Change = lambda f, hyper: f) -> None:
        self.sites = process.sites
        self.conditions = process.conditions
        self._target = Simulated(process, mixture=False)
        self._change = change

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        raise NotImplementedError

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> np.ndarray:
        return self._change(self._target.sample(key, hyper, num_draws), hyper)


class Averaged(Itself):
    """Without conditions: the hyperparameters integrated out."""

    def __init__(self, process: FunctionProcess, change: Change = lambda f, hyper: f) -> None:
        super().__init__(process, change)
        self.conditions = ()
        self._target = Simulated(process, mixture=True)


def judge(
    decoder: Itself, process: FunctionProcess, num: int = 20_000
) -> tuple[PriorFidelity, Certificate]:
    found = evaluate_prior(
        KEY, decoder, process, num_conditions=3, num_draws=200, num_moment_draws=num
    )
    return found, certify(found, None, CertificateConfig())


def about_the_mean(factor: float) -> Change:
    mean = lognormal_moments(0.0)[0]
    return lambda fields, hyper: mean + factor * (fields - mean)


def test_the_process_itself_passes(process: FunctionProcess) -> None:
    found, certificate = judge(Itself(process), process)
    assert certificate.passed, certificate.summary()
    assert found.simulated and not found.exact and found.num_moment_draws == 20_000
    assert found.worst("importance_fraction") is None and found.reference is None
    for point in found.points:
        assert set(point.null) >= {"covariance_error", "worst_sd", "bures_wasserstein"}


def test_the_distance_of_equal_processes_is_not_that_of_their_samples(tmp_path: Path) -> None:
    """White noise on 64 areas: that of two samples of 1,500 is 64 / 3,000 = 0.021."""
    text = """
        import jax
        def draw(key, hyper):
            return jax.random.normal(key, (64,))
    """
    process = build(tmp_path, text, lattice(8, 8))
    target = build_target(process, mixture=False)
    first, second = (target.moments(key, {}, 1500) for key in jax.random.split(KEY))
    plug_in = metrics.bures_wasserstein(first.covariance, second.covariance)
    assert plug_in == pytest.approx(64 / 3000, rel=0.1)
    found, _ = judge(Itself(process), process, num=1500)
    assert found.points[0].bures_wasserstein < 0.002


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (about_the_mean(0.9), {"mean_sd", "worst_sd", "covariance_error"}),
        (lambda fields, hyper: fields + 0.15, {"bures_wasserstein", "mmd_pvalue"}),
        (lambda fields, hyper: fields[:, ::-1] * 1.0, set()),
        (
            lambda fields, hyper: fields[:, np.random.default_rng(0).permutation(20)],
            {"neighbour_correlation", "covariance_error"},
        ),
    ],
    ids=["narrow", "shifted", "mirrored, which is the same", "shuffled"],
)
def test_a_wrong_decoder_fails_where_it_is_wrong(
    change: Change, fails: set[str], process: FunctionProcess
) -> None:
    _, certificate = judge(Itself(process, change), process)
    failed = {figure.name for figure in certificate.failures}
    assert failed >= fails and (fails or not failed), certificate.summary()


def test_one_wrong_area_is_named(process: FunctionProcess) -> None:
    def change(fields: np.ndarray, hyper: Hyper) -> np.ndarray:
        changed = fields.copy()
        changed[:, 7] = 1 + 0.8 * (changed[:, 7] - 1)
        return changed

    _, certificate = judge(Itself(process, change), process)
    found = {figure.name: figure for figure in certificate.figures}["worst_sd"]
    # Four standard errors of a ratio of two sds of 20,000 draws; kurtosis of the lognormal 8.9.
    assert found.value == pytest.approx(0.8, abs=4 * 0.8 * np.sqrt(7.9 / 4 / 20_000 * 2))
    assert found.areas == (process.areas.ids[7],) and not found.passed


def test_the_covariance_error_is_that_of_the_true_covariances(process: FunctionProcess) -> None:
    """Against `||C - K|| / ||K||` of known laws, at 20 repetitions: four standard errors.

    The plug-in error of as many draws is three times the truth here.
    """
    target = Simulated(process, mixture=False)
    mean, wrong = lognormal_moments(0.3)
    _, right = lognormal_moments(0.25)
    exact = metrics.covariance_error(wrong, right) ** 2
    squares, plug_in = [], []
    for key in jax.random.split(KEY, 20):
        ours, theirs = (
            target.moments(k, {"w": w}, 4000)
            for k, w in zip(jax.random.split(key), (0.3, 0.25), strict=True)
        )
        (a, b), (c, d) = ours.halves(), theirs.halves()
        difference = np.sum((a.covariance - c.covariance) * (b.covariance - d.covariance))
        squares.append(difference / np.sum(c.covariance * d.covariance))
        plug_in.append(metrics.covariance_error(ours.covariance, theirs.covariance) ** 2)
        found = compare_moments(ours, theirs, process.edges, process.sites)
        assert found["covariance_error"] == pytest.approx(np.sqrt(max(squares[-1], 0)))
    assert abs(np.mean(squares) - exact) < 4 * np.std(squares, ddof=1) / np.sqrt(20)
    assert np.mean(plug_in) > 2 * exact
    np.testing.assert_allclose(ours.mean, mean, atol=5 * np.sqrt(wrong[0, 0] / 4000))


def test_exact_moments_compare_as_before() -> None:
    rng = np.random.default_rng(0)
    a, b = (m @ m.T + np.eye(6) for m in rng.normal(size=(2, 6, 6)))
    edges, sites = np.array([[0, 1], [2, 3]]), list("abcdef")
    found = compare_moments(Moments.exact(a), Moments.exact(b), edges, sites)
    assert found["covariance_error"] == metrics.covariance_error(a, b)
    assert found["worst_sd"] == metrics.sd_ratio(a, b).worst
    assert found["bures_wasserstein"] == metrics.bures_wasserstein(a, b)


def test_too_few_draws_are_said_to_be_too_few(process: FunctionProcess) -> None:
    _, certificate = judge(Itself(process), process, num=200)
    undecided = [figure for figure in certificate.failures if figure.undecided]
    assert undecided and not certificate.passed
    assert "Monte Carlo alone gives" in certificate.summary()
    assert "raise certificate.num_draws" in certificate.summary()
    # So few are still enough to tell what is far off.
    _, certificate = judge(Itself(process, about_the_mean(0.2)), process, num=200)
    decided = {figure.name for figure in certificate.failures if not figure.undecided}
    assert {"mean_sd", "worst_sd", "covariance_error"} <= decided


def test_a_decoder_without_conditions_is_judged_by_the_mixture(process: FunctionProcess) -> None:
    found, certificate = judge(Averaged(process), process)
    assert found.mixture and [point.hyper for point in found.points] == [{}]
    assert certificate.passed, certificate.summary()

    # Each area's values among one another: the same marginals, and no correlation.
    alone = Averaged(process, lambda f, hyper: np.random.default_rng(1).permuted(f, axis=0))
    _, certificate = judge(alone, process)
    assert "neighbour_correlation" in {figure.name for figure in certificate.failures}


def test_the_mixture_has_fresh_hyperparameters_for_every_draw(tmp_path: Path) -> None:
    text = """
        import jax
        def draw(key, hyper):
            return jax.random.normal(key, (12,)).at[0].set(hyper["w"])
    """
    process = build(tmp_path, text, lattice(3, 4), w=W)
    values = Simulated(process, mixture=True).sample(KEY, {}, 1500)[:, 0]
    assert len(np.unique(values)) == 1500
    # Kolmogorov's bound at 1e-4 for a uniform sample of 1500.
    gaps = np.abs(np.sort(values) - (np.arange(1500) + 0.5) / 1500)
    assert gaps.max() < np.sqrt(np.log(2 / 1e-4) / 2 / 1500)


def test_an_area_that_never_varies_is_refused(tmp_path: Path) -> None:
    text = """
        import jax
        def draw(key, hyper):
            return jax.random.normal(key, (12,)).at[4].set(2.0)
    """
    process = build(tmp_path, text, lattice(3, 4))
    with pytest.raises(ProcessError, match=r"a004 had one and the same value in 100 draws"):
        Simulated(process, mixture=False).moments(KEY, {}, 100)


def test_every_figure_of_the_report_is_drawn(process: FunctionProcess) -> None:
    decoder = Itself(process)
    prior, _ = judge(decoder, process, num=2000)
    views = figures.look(KEY, decoder, process, prior)
    drawn = figures.prior_figures(views, process.areas)
    assert len(drawn) == 3 * 3 + 1 and all(figure.alt for figure in drawn)
    assert figures.threshold_figure(prior, CertificateConfig()) is not None
