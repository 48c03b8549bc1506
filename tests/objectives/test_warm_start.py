import numpy as np
import pytest

from priorvae.objectives.warm_start import (
    Factors,
    alternating_least_squares,
    fit_own_gates,
    leading_columns,
)


def gated(rng: np.random.Generator, nodes: int, n: int, hidden: int) -> tuple[Factors, np.ndarray]:
    truth = Factors(
        rng.normal(size=(n, hidden)), rng.normal(size=(nodes, hidden)), rng.normal(size=(hidden, n))
    )
    return truth, np.einsum("ih,th,hj->tij", *truth)


def test_recovers_an_exact_decomposition() -> None:
    rng = np.random.default_rng(0)
    truth, roots = gated(rng, nodes=6, n=12, hidden=5)
    assert truth.error(roots) < 1e-14
    fitted = alternating_least_squares(roots, hidden=8, sweeps=300, rng=rng)
    assert fitted.error(roots) < 1e-4


def test_keeps_a_basis_that_is_exact() -> None:
    """Roots that share an eigenbasis are fitted at once when started from it."""
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(10, 10)), np.linalg.qr(rng.normal(size=(10, 10)))[0]
    gates = rng.uniform(0.5, 2, size=(6, 10))
    roots = np.einsum("ih,th,hj->tij", left, gates, right)
    for hidden, sweeps in ((10, 0), (10, 300), (13, 0)):
        fitted = alternating_least_squares(roots, hidden, sweeps, rng, basis=(left, right))
        assert fitted.error(roots) < 1e-7
    # One term too few is no longer exact, and swept.
    start, swept = (
        alternating_least_squares(roots, 9, n, np.random.default_rng(0), basis=(left, right))
        for n in (0, 300)
    )
    assert 1e-3 < swept.error(roots) < start.error(roots)


def test_roots_of_low_rank_over_the_nodes_are_fitted_by_their_core() -> None:
    """Thirty nodes of rank five, as over a grid of several conditions."""
    rng = np.random.default_rng(3)
    truth, _ = gated(rng, nodes=5, n=12, hidden=5)
    gates = rng.normal(size=(30, 5)) @ truth.gates
    roots = np.einsum("ih,th,hj->tij", truth.left, gates, truth.right)
    fitted = alternating_least_squares(roots, hidden=8, sweeps=300, rng=rng)
    assert fitted.gates.shape == (30, 8)
    assert fitted.error(roots) < 1e-4


def test_more_terms_fit_better() -> None:
    rng = np.random.default_rng(2)
    _, roots = gated(rng, nodes=6, n=10, hidden=30)
    errors = [
        alternating_least_squares(roots, hidden, sweeps=100, rng=np.random.default_rng(0)).error(
            roots
        )
        for hidden in (5, 10, 20)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_leading_columns_keep_the_most_variance() -> None:
    rng = np.random.default_rng(3)
    roots = rng.normal(size=(4, 8, 8)) * np.linspace(0.01, 3, 8)
    kept = leading_columns(roots, 3)
    assert kept.shape == (4, 8, 3)
    total = np.sum(kept**2)
    for _ in range(20):
        other = np.linalg.qr(rng.normal(size=(8, 3)))[0]
        assert np.sum((roots @ other) ** 2) <= total + 1e-9
    assert leading_columns(roots, 8) is roots
    wider = leading_columns(roots, 10)
    np.testing.assert_array_equal(wider[..., :8], roots)
    assert not wider[..., 8:].any()


@pytest.mark.parametrize("seed", range(3))
def test_same_seed_same_factors(seed: int) -> None:
    _, roots = gated(np.random.default_rng(9), nodes=4, n=6, hidden=4)
    a, b = (alternating_least_squares(roots, 6, 20, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(a.left, b.left)


def matern_on_a_line() -> np.ndarray:
    """Symmetric roots of a Matern-3/2 at forty places and ten lengthscales."""
    places = np.linspace(0, 1, 40)
    distances = np.sqrt(3) * np.abs(places[:, None] - places)
    roots = []
    for lengthscale in np.geomspace(0.05, 1, 10):
        scaled = distances / lengthscale
        values, vectors = np.linalg.eigh((1 + scaled) * np.exp(-scaled))
        roots.append(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)
    return np.array(roots)


def test_momentum_goes_far_down_in_few_sweeps() -> None:
    """Sweeps without momentum end at 2.7e-3."""
    roots = matern_on_a_line()
    fitted = alternating_least_squares(roots, 80, 300, np.random.default_rng(0))
    assert fitted.error(roots) < 1.5e-3


def test_gates_of_the_latents_own_take_fewer_multiplications() -> None:
    """Terms that mix take a row of `right` each, those of the latents' own none."""
    roots = matern_on_a_line()
    axes = np.linalg.eigh(roots[5])[1][:, ::-1]
    free = alternating_least_squares(roots, 60, 300, np.random.default_rng(0))
    own = fit_own_gates(roots @ axes, 80, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(own.right[:40], np.eye(40))
    assert 40 * (40 + 2 * 40) == 60 * (40 + 40)
    assert own.error(roots @ axes) < 0.5 * free.error(roots)


def test_own_gates_recover_an_exact_decomposition() -> None:
    rng = np.random.default_rng(5)
    left, gates = rng.normal(size=(12, 15)), rng.uniform(0.5, 1.5, size=(6, 15))
    right = np.concatenate([np.eye(12), rng.normal(size=(3, 12))])
    roots = np.einsum("ih,th,hj->tij", left, gates, right)
    assert fit_own_gates(roots, 12, 500, rng).error(roots) > 0.1
    assert fit_own_gates(roots, 15, 500, rng).error(roots) < 1e-6


def test_own_gates_of_roots_that_share_a_basis_are_exact() -> None:
    rng = np.random.default_rng(6)
    left, gates = rng.normal(size=(9, 8)), rng.uniform(0.5, 2, size=(5, 8))
    roots = np.einsum("ih,th->tih", left, gates)
    for hidden in (8, 11):
        fitted = fit_own_gates(roots, hidden, 0, rng)
        assert fitted.error(roots) < 1e-12
        assert not fitted.left[:, 8:].any()
