import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorvae.errors import ConditionError
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


def test_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(ConditionError, match="did you mean 'lengthscale'"):
        check_names(CONDITIONS[:1], {"lenghtscale": 3.0})
    with pytest.raises(ConditionError, match="missing hyperparameter"):
        check_names(CONDITIONS[:1], {})


def test_unit_vector_keeps_the_order() -> None:
    hyper = {"alpha": 0.99, "lengthscale": 5.0}
    np.testing.assert_allclose(unit_vector(CONDITIONS[:2], hyper, np), [-1, 1], atol=1e-12)
    np.testing.assert_allclose(unit_vector(CONDITIONS[:2], hyper, jnp), [-1, 1], atol=1e-12)
