"""Expressions of a formula: a small whitelist of syntax, read without ever running code."""

import ast
import operator
from collections.abc import Callable, Collection, Mapping

import numpy as np

from priorvae.errors import DataError, nearest

__all__ = ["FUNCTIONS", "TRANSFORMS", "evaluate", "names_in", "parse_expression"]

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "round": np.round,
}
"""Functions of one argument that may stand anywhere in a formula."""

TRANSFORMS = frozenset({"I", "C", "center", "scale", "poly", "bs", "cs", "cr"})
"""formulaic's own transforms, which may stand on the right-hand side only."""

_OPERATORS: dict[type[ast.operator], Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_SIGNS: dict[type[ast.unaryop], Callable] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
# `x**9**9**9` would compute for ever on integers.
_LARGEST_EXPONENT = 10


def parse_expression(text: str) -> ast.expr:
    """Parse one expression; nothing is evaluated.

    Raises:
        DataError: It is not an expression.
    """
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(
            f"formula: cannot read {text.strip()!r}; inside a function or on the left of '~' use "
            "column names that are plain identifiers (rename columns with spaces or symbols)"
        ) from None


def names_in(node: ast.expr, functions: Collection[str] = tuple(FUNCTIONS)) -> frozenset[str]:
    """Return the column names an expression uses, having checked every part of it.

    Allowed are names, numbers, `+ - * / **`, and calls of `functions`; nothing else.

    Raises:
        DataError: It holds anything else, such as an attribute, an index or another function.
    """
    match node:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.Constant(value=int() | float()):
            return frozenset()
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return names_in(inner, functions)
        case ast.BinOp(left=left, op=ast.Pow(), right=exponent):
            _check_exponent(exponent)
            return names_in(left, functions)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return names_in(left, functions) | names_in(right, functions)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            _check_function(name, functions)
            if all(keyword.arg for keyword in keywords):
                parts = [*args, *(keyword.value for keyword in keywords)]
                return frozenset().union(*(names_in(part, functions) for part in parts))
    raise DataError(
        f"formula: {ast.unparse(node)!r} is not allowed; use column names, numbers, + - * / ** "
        f"and the functions {', '.join(functions)}"
    )


def evaluate(node: ast.expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Evaluate an expression that `names_in` has passed, element by element.

    Where a function is undefined (the logarithm of 0, say) the result is not finite.
    """
    with np.errstate(all="ignore"):
        return _value(node, columns)


def _value(node: ast.expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    match node:
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=value):
            return np.asarray(value, dtype=float)
        case ast.UnaryOp(op=op, operand=inner):
            return _SIGNS[type(op)](_value(inner, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, columns), _value(right, columns))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            return FUNCTIONS[name](_value(argument, columns))
    raise DataError(f"formula: {ast.unparse(node)!r} takes one argument and no keywords")


def _check_function(name: str, functions: Collection[str]) -> None:
    if name not in functions:
        raise DataError(
            f"formula: unknown function {name!r}{nearest(name, functions)}; "
            f"allowed here: {', '.join(functions)}"
        )


def _check_exponent(node: ast.expr) -> None:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            pass
        case ast.Constant(value=int() | float() as value):
            pass
        case _:
            value = np.inf
    if value > _LARGEST_EXPONENT:
        raise DataError(
            f"formula: the exponent {ast.unparse(node)!r} must be a number of at most "
            f"{_LARGEST_EXPONENT}"
        )
