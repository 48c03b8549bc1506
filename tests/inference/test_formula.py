import ast

import numpy as np
import pandas as pd
import pytest

from priorvae.errors import DataError
from priorvae.inference import parse_formula
from priorvae.inference.expression import evaluate, names_in, parse_expression
from priorvae.inference.formula import evaluate_numeric

COLUMNS = ["y", "n", "x", "e", "g", "my col"]


def test_left_hand_side_of_a_count() -> None:
    formula = parse_formula("y ~ x")
    assert ast.unparse(formula.response) == "y"
    assert formula.trials is None
    assert formula.columns == {"y", "x"}


def test_trials_as_in_brms() -> None:
    formula = parse_formula("y | trials(n + 1) ~ x")
    assert ast.unparse(formula.trials) == "n + 1"
    assert formula.columns == {"y", "n", "x"}


def test_several_offsets_leave_the_design() -> None:
    formula = parse_formula("y ~ x + offset(log(e)) + offset(n / 2)")
    assert [ast.unparse(node) for node in formula.offsets] == ["log(e)", "n / 2"]
    table = pd.DataFrame({"x": [1.0, 2.0], "e": [1.0, 2.0], "n": [1, 2]})
    assert list(formula.design(table).columns) == ["x"]


def test_design_of_factor_interaction_and_arithmetic() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0, 4.0], "g": ["a", "b", "a"], "my col": [3.0, 1.0, 2.0]})
    formula = parse_formula("y ~ g * x + I(x ** 2) + sqrt(x) + `my col`")
    design = formula.design(table)
    expected = {
        "g[T.b]": [0, 1, 0],
        "x": [1, 2, 4],
        "I(x ** 2)": [1, 4, 16],
        "sqrt(x)": [1, np.sqrt(2), 2],
        "my col": [3, 1, 2],
        "g[T.b]:x": [0, 2, 0],
    }
    pd.testing.assert_frame_equal(design[list(expected)], pd.DataFrame(expected).astype(float))


@pytest.mark.parametrize(("text", "expected"), [("y ~ x", True), ("y ~ 0 + x", False)])
def test_intercept(text: str, expected: bool) -> None:
    assert parse_formula(text).has_intercept is expected


ATTACKS = [
    "y ~ __import__('os').system('true')",
    "y ~ {__import__('os')}",
    "y ~ I(x.__class__)",
    "y ~ I((lambda: x)())",
    "y ~ I(np.load('f'))",
    "y ~ np.exp(x)",
    "y ~ I([c for c in x])",
    "y ~ I(x[0])",
    "y ~ Q('x')",
    "y ~ hashed(x)",
    "y ~ eval(x)",
    "y ~ open(x)",
    "y ~ I(f'{x}')",
    "y ~ I(x := 3)",
    "y ~ I(x if x else y)",
    "y ~ I(log)(x)",
    "y ~ log(*x)",
    "y ~ log(**x)",
    "y ~ bs(x, df=open(y))",
    "y ~ I(x ** 9 ** 9 ** 9)",
    "y ~ I(9 ** x)",
    "y ~ I(x == 'a')",
    "y ~ offset(exec(x))",
    "y ~ offset(x.values)",
    "y.values ~ x",
    "open(y) ~ x",
    "y | trials(open(n)) ~ x",
    "y | system(n) ~ x",
    "y ~ I(" + "-" * 5000 + "x)",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_a_formula_runs_no_code(text: str) -> None:
    with pytest.raises(DataError):
        parse_formula(text).check_columns(COLUMNS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y x", "expected 'response ~ terms'"),
        ("y ~ x ~ z", "with one '~'"),
        ("~ x", "expected 'response ~ terms'"),
        ("y ~ ", "expected 'response ~ terms'"),
        ("y ~ x +", "y ~ x +"),
        ("y ~ (1 | g)", "incorrectly used"),
        ("y ~ x | g", "multi-part"),
        ("y ~ x * offset(e)", "term of its own"),
        ("y ~ x - offset(e)", "term of its own"),
        ("y ~ x + offset(e) + offset(e)", "term of its own"),
        ("y ~ offset(e, n)", "offset takes one expression"),
        ("y ~ lgo(x)", "unknown function 'lgo' (did you mean 'log'?)"),
        ("y | weights(n) ~ x", "cases | trials(n)"),
        ("my col ~ x", "plain identifiers"),
    ],
)
def test_a_malformed_formula_is_refused(text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_formula(text)
    assert words in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'births' \(did you mean 'birth'\?\)"):
        parse_formula("y ~ births").check_columns(["y", "birth"])


def test_evaluation_equals_numpy() -> None:
    x, e = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    node = parse_expression("-log(e) + 2 * sqrt(x) / (1 + abs(x - e)) ** 2")
    assert names_in(node) == {"x", "e"}
    expected = -np.log(e) + 2 * np.sqrt(x) / (1 + np.abs(x - e)) ** 2
    np.testing.assert_allclose(evaluate(node, {"x": x, "e": e}), expected, rtol=1e-15)


def test_a_constant_is_as_long_as_the_table() -> None:
    table = pd.DataFrame({"x": [1, 2, 3]})
    np.testing.assert_array_equal(evaluate_numeric(parse_expression("2"), table), [2.0] * 3)


def test_text_in_a_numeric_column_is_listed() -> None:
    table = pd.DataFrame({"x": ["1", "two"]}, index=["a", "b"])
    with pytest.raises(DataError, match=r"x: expected numbers, got text in b = 'two'"):
        evaluate_numeric(parse_expression("x"), table)
