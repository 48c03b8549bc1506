"""From a formula and a joined table to the arrays of a regression, checked one by one."""

import ast
from dataclasses import dataclass

import numpy as np
import pandas as pd

from priorvae.errors import DataError, preview
from priorvae.inference.expression import names_in
from priorvae.inference.families import Family, get_family
from priorvae.inference.formula import Formula, evaluate_numeric, parse_formula

__all__ = ["RegressionData", "build_data"]

# Relative size of a column's part not explained by the others, below which it is theirs.
_COLLINEAR = 1e-7


@dataclass(frozen=True, eq=False)
class RegressionData:
    """The data of a regression, one row per area in the order of the spatial prior.

    Attributes:
        formula: What was asked for.
        family: Distribution of the response.
        area_ids: Identifiers of the rows.
        y: Response, `(area,)`.
        trials: Binomial trials, `(area,)`, or None.
        offset: Sum of the offsets on the link scale, `(area,)`; zeros without any.
        covariates: Names of the design's columns, intercept left out.
        design: `(area, covariate)`, on the scale of the data.
    """

    formula: Formula
    family: Family
    area_ids: tuple[str, ...]
    y: np.ndarray
    trials: np.ndarray | None
    offset: np.ndarray
    covariates: tuple[str, ...]
    design: np.ndarray

    @property
    def has_risk(self) -> bool:
        """Whether the response has an exposure, so that a risk (rate per unit) makes sense."""
        return self.family.has_rate and bool(self.formula.offsets)

    @property
    def measure(self) -> str:
        """Name of the quantity to map: `risk` where there is one, else the fitted mean `mu`."""
        return "risk" if self.has_risk else "mu"


def build_data(formula: str | Formula, family: str, table: pd.DataFrame) -> RegressionData:
    """Evaluate a formula on a table indexed by area id (see `join_by_id`), and check the result.

    Args:
        formula: For example `deaths ~ poverty + offset(log(births))`.
        family: `poisson` or `binomial`.
        table: One row per area, in the order of the spatial prior.

    Raises:
        DataError: A column is unknown or not numeric; a value is missing, infinite or impossible
            for the family; a covariate is constant or a combination of others. The message names
            the column, the areas, the values and the remedy.
    """
    parsed = parse_formula(formula) if isinstance(formula, str) else formula
    kind = get_family(family)
    parsed.check_columns(table.columns)
    _check_trials(parsed, kind)
    used = table[sorted(parsed.columns)]
    _check_missing(used)
    y = evaluate_numeric(parsed.response, used)
    trials = None if parsed.trials is None else evaluate_numeric(parsed.trials, used)
    ids = tuple(str(area) for area in table.index)
    kind.check(y, trials, _left_names(parsed), ids)
    _check_text(used)
    design = parsed.design(used)
    _check_design(design, used, parsed.has_intercept)
    return RegressionData(
        formula=parsed,
        family=kind,
        area_ids=ids,
        y=y,
        trials=trials,
        offset=_offset(parsed, used),
        covariates=tuple(design.columns),
        design=design.to_numpy(),
    )


def _left_names(formula: Formula) -> tuple[str, str]:
    trials = "" if formula.trials is None else ast.unparse(formula.trials)
    return ast.unparse(formula.response), trials


def _check_trials(formula: Formula, family: Family) -> None:
    if family.takes_trials and formula.trials is None:
        raise DataError(
            f"formula {formula.text!r}: {family.name} needs the number of trials; "
            "write 'cases | trials(n) ~ ...'"
        )
    if formula.trials is not None and not family.takes_trials:
        raise DataError(
            f"formula {formula.text!r}: trials() belongs to the binomial family, not to "
            f"{family.name}; use family binomial, or an offset"
        )


def _check_missing(table: pd.DataFrame) -> None:
    for name in table.columns:
        missing = table.index[table[name].isna()]
        if len(missing):
            raise DataError(
                f"{name}: missing (NaN) in {len(missing)} area(s): {preview(missing)}; fill in or "
                "impute the values, or leave the column out of the formula"
            )


def _check_text(table: pd.DataFrame) -> None:
    """Refuse a numeric column that a stray entry has turned into text: it would be a factor."""
    for name in table.select_dtypes(exclude=["number", "bool"]).columns:
        text = table[name][pd.to_numeric(table[name], errors="coerce").isna()]
        if 0 < len(text) < len(table) / 2:
            listed = preview(f"{area} = {value!r}" for area, value in text.items())
            raise DataError(f"{name}: mostly numbers, but text in {listed}; correct the data")


def _offset(formula: Formula, table: pd.DataFrame) -> np.ndarray:
    total = np.zeros(len(table))
    for node in formula.offsets:
        part = evaluate_numeric(node, table)
        _check_finite(f"offset({ast.unparse(node)})", part, table[sorted(names_in(node))])
        total += part
    return total


def _check_finite(what: str, values: np.ndarray, sources: pd.DataFrame) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        listed = preview(f"{area} ({_row(row)})" for area, row in sources.iloc[wrong].iterrows())
        raise DataError(
            f"{what}: not finite in {len(wrong)} area(s): {listed}; "
            "a logarithm needs positive values"
        )


def _row(row: pd.Series) -> str:
    return ", ".join(f"{name} = {value}" for name, value in row.items())


def _check_design(design: pd.DataFrame, table: pd.DataFrame, has_intercept: bool) -> None:
    num_coefficients = design.shape[1] + has_intercept
    if len(design) <= num_coefficients:
        raise DataError(
            f"{num_coefficients} coefficients for {len(design)} areas; leave covariates out, or "
            f"check whether a numeric column was read as text: {preview(design.columns)}"
        )
    for name in design.columns:
        values = design[name].to_numpy()
        _check_finite(name, values, table)
        if has_intercept and np.ptp(values) <= _COLLINEAR * np.abs(values).max():
            raise DataError(
                f"{name}: the covariate is constant ({values[0]:g} in every area) and "
                "cannot be told from the intercept; leave it out"
            )
    _check_rank(design, has_intercept)


def _check_rank(design: pd.DataFrame, has_intercept: bool) -> None:
    """Refuse the first column that the columns before it determine."""
    columns = design.to_numpy()
    columns = columns - columns.mean(axis=0) * has_intercept
    columns = columns / np.linalg.norm(columns, axis=0)
    for j in range(1, columns.shape[1]):
        before = columns[:, :j]
        weights = np.linalg.lstsq(before, columns[:, j], rcond=None)[0]
        if np.linalg.norm(columns[:, j] - before @ weights) < _COLLINEAR:
            names = design.columns[:j][np.abs(weights) > 1e-4]
            raise DataError(
                f"{design.columns[j]}: the covariate is a linear combination of "
                f"{preview(names)}; leave one of them out"
            )
