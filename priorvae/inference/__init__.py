"""Inference: the spatial effect, regressions with it, and what is reported of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from priorvae.inference.correction import Correction
    from priorvae.inference.coupling import Coupling, couple
    from priorvae.inference.data import join_by_id, read_table
    from priorvae.inference.design import RegressionData, build_data
    from priorvae.inference.diagnostics import Diagnostics
    from priorvae.inference.effect import spatial_effect
    from priorvae.inference.exact import ExactPrior
    from priorvae.inference.formula import Formula, parse_formula
    from priorvae.inference.importance import smooth
    from priorvae.inference.maps import draw_posterior
    from priorvae.inference.output import write_fit
    from priorvae.inference.prior import SpatialPrior
    from priorvae.inference.regression import RegressionPriors, build_model
    from priorvae.inference.reweighting import correct_fit
    from priorvae.inference.run import infer, load_data
    from priorvae.inference.sampling import Fit, fit
    from priorvae.inference.summary import area_table, parameter_table

__all__ = [
    "Correction",
    "Coupling",
    "Diagnostics",
    "ExactPrior",
    "Fit",
    "Formula",
    "RegressionData",
    "RegressionPriors",
    "SpatialPrior",
    "area_table",
    "build_data",
    "build_model",
    "correct_fit",
    "couple",
    "draw_posterior",
    "fit",
    "infer",
    "join_by_id",
    "load_data",
    "parameter_table",
    "parse_formula",
    "read_table",
    "smooth",
    "spatial_effect",
    "write_fit",
]

_HOME = {
    "Correction": "correction",
    "Coupling": "coupling",
    "Diagnostics": "diagnostics",
    "ExactPrior": "exact",
    "Fit": "sampling",
    "Formula": "formula",
    "RegressionData": "design",
    "RegressionPriors": "regression",
    "SpatialPrior": "prior",
    "area_table": "summary",
    "build_data": "design",
    "build_model": "regression",
    "correct_fit": "reweighting",
    "couple": "coupling",
    "draw_posterior": "maps",
    "fit": "sampling",
    "infer": "run",
    "join_by_id": "data",
    "load_data": "run",
    "parameter_table": "summary",
    "parse_formula": "formula",
    "read_table": "data",
    "smooth": "importance",
    "spatial_effect": "effect",
    "write_fit": "output",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its file on first use: a modeller needs no maps or tables."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
