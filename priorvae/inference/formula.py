"""Formulas as in brms: `y ~ x1 + x2 + offset(log(e))` and `cases | trials(n) ~ x`."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from formulaic.formula import SimpleFormula
from formulaic.parser.types import Factor, Term

from priorvae.errors import DataError, nearest, preview
from priorvae.inference.expression import (
    FUNCTIONS,
    TRANSFORMS,
    evaluate,
    names_in,
    parse_expression,
)

__all__ = ["Formula", "evaluate_numeric", "parse_formula"]

_RIGHT_FUNCTIONS = (*FUNCTIONS, *sorted(TRANSFORMS))
_ANSI = re.compile(r"\x1b\[[0-9;]*m|[⧛⧚]")


@dataclass(frozen=True, eq=False)
class Formula:
    """A parsed formula; nothing in it has been evaluated, and nothing in it can run code.

    Attributes:
        text: The formula as given.
        response: Expression of the response.
        trials: Expression inside `trials()`, or None.
        offsets: Expressions inside `offset()`, which are added to the linear predictor.
        right: formulaic's terms of the right-hand side, offsets taken out.
        columns: Names of all the table's columns that are used.
    """

    text: str
    response: ast.expr
    trials: ast.expr | None
    offsets: tuple[ast.expr, ...]
    right: SimpleFormula
    columns: frozenset[str]

    @property
    def has_intercept(self) -> bool:
        """Whether the right-hand side has an intercept (it has, without `0 +` or `- 1`)."""
        return any(str(term) == "1" for term in self.right)

    def check_columns(self, known: Iterable[str]) -> None:
        """Refuse a formula that uses a column the table does not have.

        Raises:
            DataError: Some are unknown; the nearest known name is suggested.
        """
        known = [str(name) for name in known]
        unknown = sorted(self.columns - set(known))
        if unknown:
            named = ", ".join(f"{name!r}{nearest(name, known)}" for name in unknown)
            raise DataError(
                f"formula {self.text!r}: the data have no column {named}; "
                f"they have {preview(known, 20)}"
            )

    def design(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the covariates' columns `(row, covariate)`, intercept left out, in float64.

        Raises:
            DataError: formulaic cannot evaluate a term on these data.
        """
        try:
            with np.errstate(all="ignore"):
                matrix = self.right.get_model_matrix(
                    table, context=dict(FUNCTIONS), na_action="ignore"
                )
        # A term's own arithmetic may fail in any way (text minus number, too few knots, ...).
        except Exception as error:
            raise DataError(f"formula {self.text!r}: {_plain(error)}") from None
        columns = [name for name in matrix.columns if name != "Intercept"]
        return pd.DataFrame(matrix)[columns].astype(float)


def parse_formula(text: str) -> Formula:
    """Parse a formula.

    Args:
        text: `response ~ terms`; on the left optionally `| trials(n)`; on the right terms as in R
            (`+ : * - 0`, `I()`, `C()`, functions, splines) and any number of `offset()`.

    Raises:
        DataError: It is malformed, or holds anything outside the whitelist of expressions.
    """
    left, separator, right = text.partition("~")
    if not separator or "~" in right or not left.strip() or not right.strip():
        raise DataError(f"formula {text!r}: expected 'response ~ terms', with one '~'")
    response, trials = _parse_left(left)
    terms = _parse_right(right, text)
    offsets = tuple(_offset(term) for term in terms if _is_offset(term))
    rest = [term for term in terms if not _is_offset(term)]
    # What formulaic has folded, removed or multiplied would otherwise vanish without a word.
    written = len(re.findall(r"\boffset\s*\(", right))
    if len(offsets) != written or any("offset(" in str(term) for term in rest):
        raise DataError(f"formula {text!r}: add each offset(...) once, as a term of its own")
    used = [names_in(node) for node in (response, *offsets, *([trials] if trials else []))]
    used += [_factor_names(factor) for term in rest for factor in term.factors]
    return Formula(
        text.strip(), response, trials, offsets, SimpleFormula(rest), frozenset().union(*used)
    )


def evaluate_numeric(node: ast.expr, table: pd.DataFrame) -> np.ndarray:
    """Evaluate a whitelisted expression on a table's columns, `(row,)` in float64.

    Raises:
        DataError: A column it uses is not numeric.
    """
    columns = {name: _numeric(table[name]) for name in names_in(node)}
    return np.broadcast_to(evaluate(node, columns), (len(table),)).astype(float)


def _numeric(column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        listed = preview(f"{i} = {v!r}" for i, v in column[wrong].items())
        raise DataError(f"{column.name}: expected numbers, got text in {listed}; correct the data")
    return numbers.to_numpy(float)


def _parse_left(left: str) -> tuple[ast.expr, ast.expr | None]:
    match parse_expression(left):
        case ast.BinOp(
            left=response,
            op=ast.BitOr(),
            right=ast.Call(func=ast.Name(id="trials"), args=[trials], keywords=[]),
        ):
            return response, trials
        case ast.BinOp(op=ast.BitOr()):
            raise DataError(f"formula: left of '~' expected 'cases | trials(n)', got {left!r}")
        case response:
            return response, None


def _parse_right(right: str, text: str) -> list[Term]:
    try:
        parsed = formulaic.Formula(right)
    except (FormulaicError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"formula {text!r}: {_plain(error)}") from None
    if not isinstance(parsed, SimpleFormula):
        raise DataError(f"formula {text!r}: '|' and multi-part formulas are not supported here")
    return list(parsed)


def _plain(error: Exception) -> str:
    message = _ANSI.sub("", str(error))
    return " ".join(message.split()) or type(error).__name__


def _is_offset(term: Term) -> bool:
    return len(term.factors) == 1 and term.factors[0].expr.startswith("offset(")


def _offset(term: Term) -> ast.expr:
    match parse_expression(term.factors[0].expr):
        case ast.Call(func=ast.Name(id="offset"), args=[argument], keywords=[]):
            return argument
    raise DataError(f"formula: offset takes one expression, got {term}")


def _factor_names(factor: Factor) -> frozenset[str]:
    match factor.eval_method:
        case Factor.EvalMethod.LITERAL:
            return frozenset()
        case Factor.EvalMethod.LOOKUP:
            return frozenset({factor.expr})
        case _:
            return names_in(parse_expression(factor.expr), _RIGHT_FUNCTIONS)
