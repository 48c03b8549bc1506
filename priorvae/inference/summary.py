"""A posterior as two tables: one row per parameter, one row per area."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from priorvae.inference.diagnostics import per_parameter
from priorvae.inference.regression import EFFECT
from priorvae.inference.sampling import Fit

__all__ = ["QUANTILES", "area_table", "parameter_table"]

QUANTILES = {"q2.5": 0.025, "q97.5": 0.975}


def parameter_table(fit: Fit) -> pd.DataFrame:
    """Return mean, sd, 95 % interval, effective sample sizes and R-hat of each parameter.

    Regression coefficients are on the link scale, per unit of their covariate; lengths in km.
    """
    draws = {name: fit.draws(name) for name in fit.parameters}
    checks = pd.DataFrame.from_dict(per_parameter(draws), orient="index")
    rows = {name: _describe(values) for name, values in draws.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").join(checks)
    return table.rename_axis("parameter")


def area_table(fit: Fit, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return each area's posterior mean, sd and 95 % interval of `f`, `mu` and `risk`.

    Args:
        fit: A fitted regression.
        names: Names of the areas, in its order.

    Returns:
        Indexed by area id, with columns such as `risk_mean`, `risk_sd`, `risk_q2.5`,
        `risk_q97.5`, and the observed `y` (with `trials`).
    """
    data = fit.data
    columns: dict[str, object] = {} if names is None else {"name": list(names)}
    columns["y"] = data.y.astype(int)
    if data.trials is not None:
        columns["trials"] = data.trials.astype(int)
    for quantity in (*(["risk"] if data.has_risk else []), "mu", EFFECT):
        for statistic, values in _describe(fit.draws(quantity)).items():
            columns[f"{quantity}_{statistic}"] = values
    return pd.DataFrame(columns, index=pd.Index(data.area_ids, name="area"))


def _describe(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Summarise `(chain, draw, ...)` over chains and draws."""
    pooled = draws.reshape(-1, *draws.shape[2:])
    quantiles = {name: np.quantile(pooled, q, axis=0) for name, q in QUANTILES.items()}
    return {"mean": pooled.mean(axis=0), "sd": pooled.std(axis=0, ddof=1), **quantiles}
