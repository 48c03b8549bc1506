import numpy as np
import pytest
from scipy import stats

from priorvae.evaluation import metrics
from priorvae.inference.importance import effective_fraction
from priorvae.processes import GP


@pytest.fixture
def covariance(process: GP) -> np.ndarray:
    return process.covariance({"lengthscale": 2.0})


def random_covariance(rng: np.random.Generator, n: int) -> np.ndarray:
    root = rng.standard_normal((n, 2 * n))
    return root @ root.T / (2 * n)


def test_equal_priors_are_perfect(covariance: np.ndarray, process: GP) -> None:
    edges = process.areas.edges
    assert metrics.covariance_error(covariance, covariance) == 0
    assert metrics.sd_ratio(covariance, covariance)[:2] == (1, 1)
    assert metrics.neighbour_correlation(covariance, covariance, edges)[:2] == (1, 0)
    assert metrics.bures_wasserstein(covariance, covariance) == pytest.approx(0, abs=1e-12)
    assert metrics.importance_fraction(covariance, covariance) == pytest.approx(1, abs=1e-9)


def test_covariance_error_of_a_scaled_covariance(covariance: np.ndarray) -> None:
    assert metrics.covariance_error(0.9 * covariance, covariance) == pytest.approx(0.1)


def test_rows_of_the_covariance_error_name_the_area(covariance: np.ndarray) -> None:
    wrong = covariance.copy()
    wrong[7, 7] += 1.0
    assert metrics.covariance_error_rows(wrong, covariance).argmax() == 7


def test_sd_ratio_names_the_worst_area() -> None:
    found = metrics.sd_ratio(np.diag([1.0, 0.81, 1.21, 1.0]), np.eye(4))
    assert found.mean == pytest.approx(1.0)
    assert (found.worst, found.area) in ((pytest.approx(0.9), 1), (pytest.approx(1.1), 2))


def test_mean_difference_is_in_sds_and_names_the_area() -> None:
    found = metrics.mean_difference(np.array([0.3, -1.0, 0.0]), np.diag([1.0, 16.0, 1.0]))
    assert (found.worst, found.area) == (pytest.approx(0.3), 0)


def test_neighbour_correlation_ratio_of_known_correlations() -> None:
    ours, theirs = np.eye(3), np.eye(3)
    ours[0, 1] = ours[1, 0] = 0.4
    theirs[0, 1] = theirs[1, 0] = 0.5
    theirs[1, 2] = theirs[2, 1] = 0.3
    edges = np.array([[0, 1], [1, 2]])
    found = metrics.neighbour_correlation(ours, theirs, edges)
    assert found.ratio == pytest.approx(0.4 / 0.8)
    assert (found.worst, found.edge) == (pytest.approx(-0.3), 1)


def test_neighbour_correlation_ignores_the_scale(covariance: np.ndarray, process: GP) -> None:
    scale = np.diag(np.linspace(0.5, 2, len(covariance)))
    scaled = scale @ covariance @ scale
    found = metrics.neighbour_correlation(scaled, covariance, process.areas.edges)
    assert found.ratio == pytest.approx(1)


def test_neighbour_correlation_of_independent_areas_is_no_division_by_zero() -> None:
    found = metrics.neighbour_correlation(np.eye(3), np.eye(3), np.array([[0, 1]]))
    assert found.ratio == 1
    assert metrics.neighbour_correlation(np.eye(3), np.eye(3), np.zeros((0, 2), int)).edge == -1


def test_bures_wasserstein_of_diagonal_covariances() -> None:
    a, k = np.array([1.0, 4.0, 0.0]), np.array([2.0, 1.0, 3.0])
    expected = np.sum((np.sqrt(a) - np.sqrt(k)) ** 2) / k.sum()
    assert metrics.bures_wasserstein(np.diag(a), np.diag(k)) == pytest.approx(expected)


def test_bures_wasserstein_counts_a_shifted_mean() -> None:
    found = metrics.bures_wasserstein(np.eye(2), np.eye(2), np.array([0.3, 0.4]))
    assert found == pytest.approx(0.25 / 2)


def test_bures_wasserstein_of_full_covariances(rng: np.random.Generator) -> None:
    from scipy.linalg import sqrtm

    a, k = random_covariance(rng, 6), random_covariance(rng, 6)
    root = sqrtm(k)
    expected = np.trace(a + k - 2 * np.real(sqrtm(root @ a @ root))) / np.trace(k)
    assert metrics.bures_wasserstein(a, k) == pytest.approx(expected, rel=1e-9)


def test_importance_fraction_of_independent_areas() -> None:
    v = np.array([0.8, 1.0, 1.3])
    expected = np.prod(np.sqrt(2 * v - 1) / v)
    assert metrics.importance_fraction(np.diag(v), np.eye(3)) == pytest.approx(expected)


def test_importance_fraction_agrees_with_monte_carlo(rng: np.random.Generator) -> None:
    k = random_covariance(rng, 5)
    a = k + 0.15 * random_covariance(rng, 5)
    draws = rng.multivariate_normal(np.zeros(5), a, size=200_000)
    log_weights = stats.multivariate_normal(cov=k).logpdf(draws)
    log_weights -= stats.multivariate_normal(cov=a).logpdf(draws)
    # Delta method: the relative error of the mean of w^2 dominates.
    squares = np.exp(2 * log_weights)
    error = 4 * squares.std() / np.sqrt(len(squares)) / squares.mean()
    found = metrics.importance_fraction(a, k)
    assert effective_fraction(log_weights) == pytest.approx(found, rel=error)


def test_importance_fraction_is_nought_where_weights_have_no_variance() -> None:
    assert metrics.importance_fraction(0.5 * np.eye(3), np.eye(3)) == 0
    assert metrics.importance_fraction(np.diag([1.0, 0.0]), np.eye(2)) == 0


def test_covariance_error_from_draws_has_no_bias(
    covariance: np.ndarray, rng: np.random.Generator
) -> None:
    root = np.linalg.cholesky(covariance)
    samples = rng.standard_normal((40, 1000, len(root))) @ root.T
    for shrinkage in (0.0, 0.3):
        fields = np.sqrt(1 - shrinkage) * samples
        found = [metrics.squared_covariance_error(draws, covariance) for draws in fields]
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - shrinkage**2) < 3 * error
    plug_in = [metrics.covariance_error(np.cov(d, rowvar=False), covariance) for d in samples]
    assert np.mean(np.square(plug_in)) > 0.005


def test_covariance_error_from_draws_is_never_negative(process: GP) -> None:
    covariance = process.covariance({"lengthscale": 0.5})
    draws = np.random.default_rng(0).standard_normal((50, len(covariance)))
    draws = draws @ process.root({"lengthscale": 0.5})
    assert metrics.covariance_error_from_draws(draws, covariance) >= 0


def test_importance_of_a_singular_process_is_taken_within_its_range() -> None:
    """An ICAR sums to zero: a decoder in its range is judged there, one too wide is too."""
    centring = np.eye(4) - 0.25
    assert metrics.importance_fraction(centring, centring) == pytest.approx(1)
    # The three directions are 10 % too wide in variance: prod sqrt(2 v - 1) / v.
    expected = (np.sqrt(1.2) / 1.1) ** 3
    assert metrics.importance_fraction(1.1 * centring, centring) == pytest.approx(expected)
    outside = centring + 1e-9 * np.ones((4, 4))
    assert metrics.importance_fraction(outside, centring) == pytest.approx(1)
    two = np.diag([1.0, 1, 0, 0])
    assert metrics.importance_fraction(two @ centring @ two, centring) == 0
