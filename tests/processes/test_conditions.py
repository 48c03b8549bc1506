import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorvae.errors import ConditionError
from priorvae.processes import chebyshev
from priorvae.processes.conditions import Condition, check_names, unit_vector

CONDITIONS = [
    Condition("lengthscale", "km", 5.0, 200.0, "log", "loguniform"),
    Condition("alpha", "", 0.0, 0.99, "log1m", "uniform"),
    Condition("x", "", -2.0, 3.0, "identity", "normal", {"loc": 0.0, "scale": 1.0}),
    Condition("lengthscale", "km", 5.0, 200.0, "log", "lognormal", {"loc": 3.0, "scale": 0.5}),
    Condition("rho", "", 0.0, 0.95, "arcsine", "beta", {"a": 2.0, "b": 1.5}),
    Condition("phi", "", -0.9, 0.99, "asin", "uniform"),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.distribution)
@given(unit=st.floats(-1, 1))
def test_unit_scale_inverts(condition: Condition, unit: float) -> None:
    value = condition.from_unit(np.asarray(unit))
    slack = 1e-9 * abs(condition.high)
    assert condition.low - slack <= value <= condition.high + slack
    np.testing.assert_allclose(condition.to_unit(value), unit, atol=1e-9)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.distribution)
def test_grid_spans_the_range(condition: Condition) -> None:
    grid = condition.grid(7)
    np.testing.assert_allclose(grid[[0, -1]], [condition.low, condition.high], atol=1e-12)
    np.testing.assert_allclose(np.diff(condition.to_unit(grid)), 1 / 3, atol=1e-9)
    for value in grid:
        condition.check(float(value))


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.distribution)
def test_numpyro_hyperprior_is_the_quantile_functions(condition: Condition) -> None:
    """The density NumPyro samples from is the derivative of our distribution function."""
    values = condition.quantile(np.linspace(0.05, 0.95, 9))
    step = 1e-5 * (condition.high - condition.low)
    density = (condition.cdf(values + step) - condition.cdf(values - step)) / (2 * step)
    ours = np.exp(np.asarray(condition.numpyro().log_prob(jnp.asarray(values))))
    np.testing.assert_allclose(ours, density, rtol=1e-5)


@pytest.mark.parametrize("value", [4.9, 201.0, float("nan"), float("inf")])
def test_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(
        ConditionError, match=r"lengthscale: .* outside the trained range \[5, 200\]"
    ):
        CONDITIONS[0].check(value)


def test_bounds_survive_float32() -> None:
    condition = Condition("lengthscale", "km", 40.334440351184064, 806.7, "log", "loguniform")
    condition.check(float(np.float32(condition.low)))


def test_a_share_reaches_both_ends_of_its_closed_range() -> None:
    condition = Condition("rho", "", 0.0, 1.0, "arcsine", "uniform")
    np.testing.assert_allclose(condition.grid(5), [0, 0.146446609, 0.5, 0.853553391, 1], atol=1e-9)
    above = np.float32(1.0) + np.finfo(np.float32).eps
    condition.check(float(above))
    assert condition.to_unit(above) == 1
    assert condition.to_unit(jnp.float32(above)) == 1


KERNELS = Condition(
    "kernel", "", 0.0, 2.0, "category", "categorical", labels=("matern12", "matern32", "rbf")
)


def test_categories_lie_at_chebyshev_nodes() -> None:
    numbers = np.arange(3.0)
    units = KERNELS.to_unit(numbers)
    np.testing.assert_array_equal(units, chebyshev.nodes((2,))[:, 0])
    np.testing.assert_allclose(units, np.cos(np.pi * np.array([1, 3, 5]) / 6), atol=1e-15)
    np.testing.assert_array_equal(KERNELS.from_unit(units), numbers)
    # The nearer one in between, and the outer ones beyond their nodes.
    np.testing.assert_array_equal(
        KERNELS.from_unit(np.array([1, 0.6, 0.4, -0.6, -1])), [0, 0, 1, 2, 2]
    )
    for function, values in ((KERNELS.to_unit, numbers), (KERNELS.from_unit, units)):
        there = jax.jit(function)(jnp.asarray(values))
        np.testing.assert_allclose(there, function(values), atol=1e-15)
        np.testing.assert_array_equal(KERNELS.from_unit(np.float32(units)), numbers)


def test_a_category_is_named_or_numbered() -> None:
    for value in ("matern32", 1, 1.0, np.float32(1)):
        KERNELS.check(value)
        assert KERNELS.text(value) == "matern32"
        unit = unit_vector([KERNELS], {"kernel": value}, jnp)
        np.testing.assert_allclose(unit, [0.0], atol=1e-7)
    assert KERNELS.span == "one of matern12, matern32, rbf"
    np.testing.assert_array_equal(KERNELS.grid(5), [0, 1, 2, 0, 1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("matern", r"kernel: expected one of matern12, matern32, rbf, got 'matern'.*did you mean"),
        (1.5, r"kernel: 1.5 is none of the categories matern12 \(0\), matern32 \(1\), rbf \(2\)"),
        (3, r"3 is none of"),
        (-1, r"-1 is none of"),
        (float("nan"), r"nan is none of"),
    ],
)
def test_what_is_no_category_is_refused(value: object, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        KERNELS.check(value)


def test_text_is_refused_where_a_number_is_expected() -> None:
    with pytest.raises(ConditionError, match="lengthscale: expected a number, got 'rbf'"):
        CONDITIONS[0].check("rbf")


def test_categories_are_equally_probable() -> None:
    """The quantile function is the inverse of the distribution function, as for any hyperprior."""
    np.testing.assert_allclose(
        KERNELS.cdf(np.array([-0.5, 0, 1, 1.5, 2])), [0, 1 / 3, 2 / 3, 2 / 3, 1]
    )
    probability = (np.arange(3000) + 0.5) / 3000
    values = KERNELS.quantile(probability)
    np.testing.assert_array_equal(np.bincount(values.astype(int)), [1000, 1000, 1000])
    assert (KERNELS.cdf(values) >= probability).all()
    assert (KERNELS.cdf(values - 1) < probability).all()
    np.testing.assert_array_equal(KERNELS.quantile(np.array([0.0, 1.0])), [0, 2])
    log_prob = KERNELS.numpyro().log_prob(jnp.arange(3))
    np.testing.assert_allclose(log_prob, np.full(3, -np.log(3)))


def test_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(ConditionError, match="did you mean 'lengthscale'"):
        check_names(CONDITIONS[:1], {"lenghtscale": 3.0})
    with pytest.raises(ConditionError, match="missing hyperparameter"):
        check_names(CONDITIONS[:1], {})


def test_unit_vector_keeps_the_order() -> None:
    hyper = {"alpha": 0.99, "lengthscale": 5.0}
    np.testing.assert_allclose(unit_vector(CONDITIONS[:2], hyper, np), [-1, 1], atol=1e-12)
    np.testing.assert_allclose(unit_vector(CONDITIONS[:2], hyper, jnp), [-1, 1], atol=1e-12)
