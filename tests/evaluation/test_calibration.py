"""Ranks whose distribution is known: of a right posterior, of wrong ones, and of a decoder's."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import stats

from priorvae.areas import read_areas
from priorvae.config import CalibrationConfig, CertificateConfig
from priorvae.errors import ProcessError
from priorvae.evaluation.calibration import (
    Calibration,
    calibrate,
    rank_histogram,
    require_continuous,
    simulate_truths,
)
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.document import Evaluation, from_json, to_json
from priorvae.evaluation.figures import rank_figure
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import GP, Condition
from tests.evaluation.linear import Linear
from tests.samples import reference_bundle

KEY = jax.random.key(3)


def conjugate(
    rng: np.random.Generator, num: int, draws: int, *, width: float = 1.0, bias: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """`x ~ N(0, 1)`, `y ~ N(x, 1)`: the posterior is N(y / 2, 1 / 2), here wider or moved."""
    true = rng.standard_normal(num)
    mean = (true + rng.standard_normal(num)) / 2
    noise = width * rng.standard_normal((num, draws)) + bias
    return true, mean[:, None] + np.sqrt(0.5) * noise


def test_ranks_of_a_right_posterior_are_uniform(rng: np.random.Generator) -> None:
    pvalues = [rank_histogram("x", *conjugate(rng, 500, 99)).pvalue for _ in range(60)]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001
    found = rank_histogram("x", *conjugate(rng, 5000, 99))
    # Ranks over draws are uniform on [0, 1]: four standard errors of their mean.
    assert found.mean_rank == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 5000))
    # The lag-one autocorrelation of independent draws about their own mean is -1 / draws.
    assert found.autocorrelation == pytest.approx(-1 / 99, abs=4 / np.sqrt(5000 * 98))


@pytest.mark.parametrize(
    ("width", "bias"), [(0.75, 0.0), (1.4, 0.0), (1.0, 0.3)], ids=["narrow", "wide", "moved"]
)
def test_ranks_of_a_wrong_posterior_are_not(
    rng: np.random.Generator, width: float, bias: float
) -> None:
    found = rank_histogram("x", *conjugate(rng, 500, 99, width=width, bias=bias))
    assert found.pvalue < 1e-3
    ends = (found.counts[0] + found.counts[-1]) / (2 * found.expected)
    if width != 1:
        # A posterior that is too narrow leaves true values at its ends.
        assert (ends > 1) == (width < 1)
    # The mean moved by 0.3 posterior sds: Phi(-0.3 / sqrt(2)) of the draws lie below the truth.
    expected = stats.norm.cdf(-bias / np.sqrt(1 + width**2))
    assert found.mean_rank == pytest.approx(expected, abs=4 * np.sqrt(1 / 12 / 500))


def test_every_bin_has_as_many_ranks(rng: np.random.Generator) -> None:
    true, draws = conjugate(rng, 400, 70)
    found = rank_histogram("x", true, draws)
    # 71 ranks do not go into 20 bins: the first 59 draws have 60, three for each.
    ranks = np.sum(draws[:, :59] < true[:, None], axis=1)
    assert found.counts == tuple(np.histogram(ranks, bins=np.arange(0, 61, 3))[0])
    assert found.expected == 20


def test_autocorrelated_draws_show() -> None:
    draws = np.repeat(np.random.default_rng(1).standard_normal((200, 25)), 4, axis=1)
    found = rank_histogram("x", np.zeros(200), draws)
    # In blocks of four, three of four steps stay: 3/4, less 1/25 for the mean being their own.
    assert found.autocorrelation == pytest.approx(0.75, abs=0.03)


def test_truths_are_drawn_from_the_exact_prior(process: GP) -> None:
    truths = simulate_truths(KEY, process, 400)
    condition = process.conditions[0]
    assert stats.kstest(condition.cdf(truths.hypers["lengthscale"]), "uniform").pvalue > 0.001
    white = [
        np.linalg.solve(np.linalg.cholesky(process.covariance({"lengthscale": length})), f / s)
        for length, f, s in zip(
            truths.hypers["lengthscale"], truths.effect, truths.scale, strict=True
        )
    ]
    assert stats.kstest(np.ravel(white), "norm").pvalue > 0.001
    assert stats.kstest(truths.scale, "halfnorm").pvalue > 0.001


def test_a_category_is_refused(process: GP) -> None:
    kernel = Condition(
        "kernel", "", 0, 1, "category", "categorical", labels=("matern12", "matern32")
    )
    mixed = GP(process.areas, "matern12|matern32", (*process.conditions, kernel), {}, 1e-6)
    with pytest.raises(ProcessError, match="leave `calibration` out"):
        require_continuous(mixed)


@pytest.fixture(scope="module")
def small(lengthscale: Condition) -> GP:
    return GP(read_areas("grid:3x3"), "matern32", (lengthscale,), {}, 1e-6)


@pytest.fixture(scope="module")
def found(small: GP) -> Calibration:
    settings = CalibrationConfig(datasets=40, areas=2, warmup=150, samples=200, thinning=10)
    return calibrate(KEY, reference_bundle(small), small, settings)


@pytest.mark.slow
def test_the_reference_is_calibrated(found: Calibration) -> None:
    names = [q.name for q in found.quantities]
    assert names == ["scale", "Intercept", "lengthscale", "effect of r1c1", "effect of r3c3"]
    assert (found.datasets, found.draws) == (40, 19)
    assert all(sum(q.counts) == 40 for q in found.quantities)
    assert found.familywise_pvalue() > 0.01
    assert max(abs(q.autocorrelation) for q in found.quantities) < 0.3


@pytest.mark.slow
def test_the_certificate_judges_it(found: Calibration, process: GP) -> None:
    prior = evaluate_prior(KEY, Linear(process, process.root), process, num_draws=100)
    config = CertificateConfig(calibration=CalibrationConfig(pvalue=0.01))
    good = certify(prior, None, config, found)
    assert good.figures[-1].name == "calibration_pvalue"
    assert good.passed
    narrow = replace(found.quantities[0], pvalue=1e-4)
    bad = certify(prior, None, config, replace(found, quantities=(narrow, *found.quantities[1:])))
    assert [figure.name for figure in bad.failures] == ["calibration_pvalue"]
    assert "(least uniform: scale) is 0.0005" in bad.summary()
    evaluation = Evaluation(prior, None, good, {"calibration": 1.0}, found)
    assert from_json(to_json(evaluation)).calibration == found
    assert "p = " in rank_figure(found).alt


@pytest.mark.slow
def test_a_decoder_that_is_too_narrow_is_not_calibrated(small: GP) -> None:
    """Half the sd at the same scale: the true scale is too large for what is fitted."""
    settings = CalibrationConfig(datasets=100, areas=1, warmup=200, samples=300, thinning=15)
    bundle = reference_bundle(small)
    weights = {k: v * (0.5 if "kernel" in k else 1) for k, v in bundle.weights.items()}
    bad = calibrate(KEY, replace(bundle, weights=weights), small, settings)
    assert bad.familywise_pvalue() < 0.01
    assert bad.worst.name == "scale"
