import numpy as np
import pandas as pd
import pytest

from priorvae.errors import DataError
from priorvae.inference import build_data

POISSON = "deaths ~ x + offset(log(births))"
BINOMIAL = "cases | trials(tested) ~ x"


def test_arrays_of_a_poisson_regression(table: pd.DataFrame) -> None:
    data = build_data("deaths ~ x + w + offset(log(births)) + offset(0.5)", "poisson", table)
    np.testing.assert_array_equal(data.y, table["deaths"])
    np.testing.assert_allclose(data.offset, np.log(table["births"]) + 0.5, rtol=1e-15)
    np.testing.assert_array_equal(data.design, table[["x", "w"]])
    assert data.covariates == ("x", "w")
    assert data.area_ids == tuple(table.index)
    assert data.measure == "risk"


def test_arrays_of_a_binomial_regression(table: pd.DataFrame) -> None:
    data = build_data(BINOMIAL, "binomial", table)
    np.testing.assert_array_equal(data.trials, table["tested"])
    assert not data.offset.any()
    assert data.measure == "mu"


BAD = [
    ("deaths", 3, -1, POISSON, "deaths: counts cannot be negative; in 1 area(s): {id} = -1"),
    ("deaths", 3, 1.5, POISSON, "deaths: counts must be whole numbers"),
    ("deaths", 3, np.nan, POISSON, "deaths: missing (NaN) in 1 area(s): {id}"),
    ("x", 3, np.nan, POISSON, "x: missing (NaN) in 1 area(s): {id}"),
    ("x", 3, np.inf, POISSON, "x: not finite in 1 area(s): {id} (births"),
    ("births", 3, np.nan, POISSON, "births: missing (NaN) in 1 area(s): {id}"),
    ("births", 3, 0, POISSON, "offset(log(births)): not finite in 1 area(s): {id} (births = 0.0)"),
    ("births", 3, -4, POISSON, "offset(log(births)): not finite in 1 area(s): {id} (births = -4"),
    ("cases", 3, -1, BINOMIAL, "cases: counts cannot be negative"),
    ("cases", 3, 99, BINOMIAL, "cases exceeds tested in 1 area(s): {id}: 99 of"),
    ("tested", 3, 0.5, BINOMIAL, "tested: counts must be whole numbers"),
    ("tested", 3, np.nan, BINOMIAL, "tested: missing (NaN)"),
    ("x", 3, "12,3", POISSON, "x: mostly numbers, but text in {id} = '12,3'"),
    ("deaths", 3, "many", POISSON, "deaths: expected numbers, got text in {id} = 'many'"),
]


@pytest.mark.parametrize(("column", "row", "value", "formula", "words"), BAD)
def test_a_bad_value_is_named_with_its_area(
    table: pd.DataFrame, column: str, row: int, value: object, formula: str, words: str
) -> None:
    table = table.astype({column: object})
    table.iloc[row, table.columns.get_loc(column)] = value
    if not isinstance(value, str):
        table = table.astype({column: float})
    family = "poisson" if formula == POISSON else "binomial"
    with pytest.raises(DataError) as caught:
        build_data(formula, family, table)
    assert words.format(id=table.index[row]) in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "family", "words"),
    [
        ("deaths ~ x", "binomial", "write 'cases | trials(n) ~ ...'"),
        (BINOMIAL, "poisson", "trials() belongs to the binomial family"),
        ("deaths ~ x", "poison", "unknown 'poison' (did you mean 'poisson'?)"),
        ("deaths ~ x + xx", "poisson", "no column 'xx'"),
        ("zero ~ x", "poisson", "all 20 counts are zero"),
        ("deaths ~ x + one", "poisson", "one: the covariate is constant (1 in every area)"),
        ("deaths ~ x + w + I(2 * x - w + 3)", "poisson", "linear combination of x, w"),
        ("deaths ~ label", "poisson", "20 coefficients for 20 areas"),
        ("deaths ~ log(x)", "poisson", "log(x): not finite"),
        ("deaths ~ I(region - x)", "poisson", "formula"),
    ],
)
def test_an_unusable_model_is_refused(
    table: pd.DataFrame, formula: str, family: str, words: str
) -> None:
    extra = {"zero": 0, "one": 1.0, "label": [f"a{i}" for i in range(20)]}
    with pytest.raises(DataError) as caught:
        build_data(formula, family, table.assign(**extra))
    assert words in str(caught.value)


def test_a_constant_is_a_covariate_where_there_is_no_intercept(table: pd.DataFrame) -> None:
    data = build_data("deaths ~ 0 + one", "poisson", table.assign(one=1.0))
    assert data.covariates == ("one",)
