"""Refusing draws that are not finite, with the hyperparameters they were made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.base import Hyper

__all__ = ["in_words", "require_finite"]


def in_words(hyper: Hyper) -> str:
    """Return hyperparameters as `name = value, name = value`."""
    words = ", ".join(f"{name} = {float(value):.6g}" for name, value in hyper.items())
    return words or "no hyperparameters"


def require_finite(
    who: str, sites: Sequence[str], fields: np.ndarray, hyper: dict[str, Any]
) -> None:
    """Refuse fields that hold infinities or NaN.

    Args:
        who: What made them, for the message.
        sites: Names of a field's values.
        fields: Shape `(draw, size)`.
        hyper: Each hyperparameter's values, `(draw,)`.

    Raises:
        ProcessError: Says of the first such value its site and its hyperparameters.
    """
    bad = np.argwhere(~np.isfinite(fields))
    if len(bad) == 0:
        return
    draw, site = bad[0]
    values = {name: np.asarray(series)[draw] for name, series in hyper.items()}
    raise ProcessError(
        f"{who} gave {fields[draw, site]} for {sites[site]}, with {in_words(values)}; every value "
        "must be finite over the whole range of the hyperparameters"
    )
