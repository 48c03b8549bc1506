import numpy as np
import pytest
from scipy import stats

from priorvae.evaluation import twosample


def test_mmd_of_tiny_samples_by_hand(rng: np.random.Generator) -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [4.0]])
    found = twosample.compare_fields(x, y, rng, num_permutations=10)
    median = np.median([1, 2, 4, 1, 3, 2])

    def kernel(d: float) -> float:
        return float(np.exp(-0.5 * (d / median) ** 2))

    mmd = kernel(1) + kernel(2) - 2 * np.mean([kernel(d) for d in (2, 4, 1, 3)])
    assert found.mmd.statistic == pytest.approx(mmd)
    assert found.energy.statistic == pytest.approx(2 * np.mean([2, 4, 1, 3]) - 1 - 2)


def test_p_values_are_uniform_under_the_null() -> None:
    # 200 pairs; Kolmogorov-Smirnov at 0.001 with a fixed generator.
    rng = np.random.default_rng(5)
    tests = [
        twosample.compare_fields(*rng.standard_normal((2, 25, 4)), rng, num_permutations=199)
        for _ in range(200)
    ]
    for pvalues in ([t.mmd.pvalue for t in tests], [t.energy.pvalue for t in tests]):
        assert stats.kstest(pvalues, "uniform").pvalue > 0.001


def test_the_draws_are_compared_and_not_the_areas(rng: np.random.Generator) -> None:
    # Every area has the same values in both samples; only how a draw combines them differs.
    x = rng.standard_normal((300, 1)) * np.ones((1, 6))
    y = np.stack([rng.permutation(x[:, 0]) for _ in range(6)], axis=1)
    found = twosample.compare_fields(x, y, rng, num_permutations=199)
    assert found.mmd.pvalue == found.energy.pvalue == pytest.approx(1 / 200)


def test_a_shrunken_sample_is_found(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, 400, 20))
    found = twosample.compare_fields(0.85 * x, y, rng, num_permutations=199)
    assert found.energy.pvalue < 0.01
    assert found.energy.statistic > found.energy.null


def test_scalar_distances_are_those_of_scipy(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal(50), rng.standard_normal(80) + 0.3
    distance = twosample.wasserstein(x, y, rng, num_permutations=99)
    assert distance.statistic == pytest.approx(stats.wasserstein_distance(x, y))
    largest = twosample.kolmogorov_smirnov(x, y, rng, num_permutations=99)
    assert largest.statistic == pytest.approx(stats.ks_2samp(x, y).statistic)


def test_scalar_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(6)
    pvalues = [
        twosample.wasserstein(*rng.standard_normal((2, 30)), rng, num_permutations=199).pvalue
        for _ in range(300)
    ]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001


def test_equal_samples_have_a_p_value_of_one(rng: np.random.Generator) -> None:
    x = rng.standard_normal(20)
    assert twosample.wasserstein(x, x, rng, num_permutations=19).pvalue == 1
