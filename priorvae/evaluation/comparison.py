"""Two fits of one regression, with a bundle and with the process itself, and their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from priorvae.config import PosteriorConfig
from priorvae.errors import DataError, ProcessError
from priorvae.evaluation.posterior import PosteriorFidelity, compare_posteriors
from priorvae.evaluation.targets import generator, split
from priorvae.inference import ExactPrior, Fit, RegressionData, build_data, fit, load_data
from priorvae.inference.correction import Correction
from priorvae.inference.coupling import obstacle
from priorvae.inference.regression import EFFECT
from priorvae.inference.reweighting import correct_fit
from priorvae.processes.base import Gaussian, Process, require_gaussian

if TYPE_CHECKING:
    import jax

    from priorvae.bundles import Bundle
    from priorvae.inference import SpatialPrior

__all__ = [
    "SIMULATED",
    "Simulation",
    "observed_data",
    "posterior_fidelity",
    "require_comparable",
    "simulate_counts",
]

SIMULATED = "simulated"
"""Name of the data set that is drawn from the process itself."""


class Simulation(NamedTuple):
    """Counts with a known truth."""

    data: RegressionData
    """The regression."""
    rate: np.ndarray
    """True rate per unit of exposure of every area `(area,)`."""


def require_comparable(process: Process) -> Gaussian:
    """Return a process whose posteriors can be compared with a decoder's, or refuse it.

    Raises:
        ProcessError: The process is known by its draws alone, or one of its hyperparameters is a
            category.
    """
    exact = require_gaussian(process, "certificate.posterior")
    for condition in exact.conditions:
        if condition.labels:
            raise ProcessError(
                f"certificate.posterior compares posteriors of continuous hyperparameters, and "
                f"{condition.name} is a category ({condition.span}): leave `posterior` out, and "
                "compare fits at each of them with `priorvae infer --condition`"
            )
    return exact


def posterior_fidelity(
    key: jax.Array, bundle: Bundle, process: Gaussian, settings: PosteriorConfig
) -> PosteriorFidelity:
    """Fit one regression with a bundle and with the process it stands for, and compare.

    Model, data, sampler and seed are the same on both sides; or the exact side is the bundle's own,
    taken to the exact posterior by importance weights.

    Args:
        key: Random key of the simulated data, the chains and the permutation tests.
        bundle: The bundle.
        process: That process.
        settings: Data (`simulated` for counts drawn from the process), formula, sampler, and where
            the exact side comes from.

    Raises:
        DataError: The data cannot be used.
        ProcessError: The exact side is to come from weights, and the bundle has none.
        RunError: The sampler fails.
    """
    data_key, fit_key, test_key = split(key, 3)
    data, truth, described = _data(data_key, bundle, process, settings)
    why_not = obstacle(bundle, process)
    weighted = settings.exact == "weighted"
    if weighted and why_not is not None:
        raise ProcessError(f"certificate.posterior.exact: weighted: {why_not}")
    ours = _fit(fit_key, data, bundle, settings)
    corrected = None if why_not else correct_fit(fit_key, ours, bundle, process, always=weighted)
    theirs = corrected if weighted else None
    if theirs is None:
        theirs = _fit(fit_key, data, ExactPrior(process), settings)
    names = [n for n in ours.hyperparameters if n in theirs.hyperparameters]
    found = compare_posteriors(
        test_key,
        ours.idata,
        theirs.idata,
        variable=data.measure,
        hyperparameters=[*names, f"{EFFECT}_scale"],
        area_ids=bundle.sites,
        data=described,
        truth=truth,
        paired=weighted,
    )
    if corrected is not None and corrected.correction is not None:
        scalars = (*ours.hyperparameters, f"{EFFECT}_scale")
        found = replace(found, **_corrected(corrected.correction, scalars))
    exact_run = None if weighted else _diagnostics(theirs)
    return replace(found, decoder_run=_diagnostics(ours), exact_run=exact_run)


def _fit(
    key: jax.Array, data: RegressionData, prior: SpatialPrior, settings: PosteriorConfig
) -> Fit:
    return fit(
        key,
        data,
        prior,
        num_warmup=settings.warmup,
        num_samples=settings.samples,
        num_chains=settings.chains,
    )


def observed_data(process: Process, settings: PosteriorConfig) -> RegressionData | None:
    """Return the real data that posteriors are compared on, or None if they are simulated.

    Raises:
        DataError: The table, the ids or the formula cannot be used; or the process has layers,
            and a table one row an area.
    """
    if settings.data == SIMULATED:
        return None
    if process.layers is not None:
        raise DataError(
            f"certificate.posterior.data: a table has one row for each area, and this process "
            f"{process.num_layers} {process.layers.name}s (got {settings.data}); use `data: "
            f"{SIMULATED}`"
        )
    return load_data(
        process.areas.ids,
        settings.data,
        formula=settings.formula,
        family=settings.family,
        id=settings.id,
    )


def _data(
    key: jax.Array, bundle: Bundle, process: Gaussian, settings: PosteriorConfig
) -> tuple[RegressionData, np.ndarray | None, str]:
    data = observed_data(process, settings)
    if data is None:
        simulation = simulate_counts(key, process)
        return simulation.data, simulation.rate, "counts simulated from the process"
    return data, None, f"{settings.data}, {settings.formula}, {settings.family}"


def simulate_counts(
    key: jax.Array,
    process: Gaussian,
    *,
    hyper: Mapping[str, float] | None = None,
    scale: float = 0.5,
    slope: float = 0.3,
    mean_count: float = 20.0,
) -> Simulation:
    """Draw Poisson counts with a known spatial effect and one covariate.

    `rate = exp(slope x + scale f)`, `y ~ Poisson(exposure rate)`, with `f` from the process and
    exposures spread log-normally about `mean_count`.

    Args:
        key: Random key.
        process: The process the effect is drawn from.
        hyper: Its hyperparameters; the middle of their ranges where None.
        scale: Standard deviation of the effect on the log scale.
        slope: Coefficient of the standard normal covariate `x`.
        mean_count: Median exposure, and so about the mean count.
    """
    field_key, rest_key = split(key)
    values = hyper or {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    field = np.asarray(process.sample(field_key, values), dtype=np.float64)
    # A CAR's marginal variances are not 1: `scale` is the effect's own sd.
    field = field / np.sqrt(np.mean(np.diag(process.covariance(values))))
    rng = generator(rest_key)
    x = rng.standard_normal(len(field))
    exposure = mean_count * np.exp(0.5 * rng.standard_normal(len(field)))
    rate = np.exp(slope * x + scale * field)
    table = pd.DataFrame(
        {"cases": rng.poisson(exposure * rate), "exposure": exposure, "x": x},
        index=pd.Index(process.sites, name="area"),
    )
    return Simulation(build_data("cases ~ x + offset(log(exposure))", "poisson", table), rate)


def _corrected(correction: Correction, hyperparameters: Sequence[str]) -> dict[str, Any]:
    """Return what a correction says of the decoder, as fields of `PosteriorFidelity`."""
    shifts = {n: tuple(found) for n, found in correction.parameters.items() if n in hyperparameters}
    return {
        "importance_fraction": correction.weights.fraction,
        "pareto_k": correction.weights.pareto_k,
        "pareto_k_limit": correction.limit,
        "shifts": shifts,
        "area_shift": None if correction.areas is None else tuple(correction.areas),
    }


def _diagnostics(found: Fit) -> dict[str, float]:
    d = found.diagnostics
    ess = min(d.min_ess_bulk, d.min_ess_tail)
    return {
        "seconds": d.seconds,
        "smallest effective sample size": ess,
        "effective draws per second": d.min_ess_per_second,
        "largest R-hat": d.max_rhat,
        "divergences": float(d.divergences),
        "leapfrog steps per draw": d.mean_leapfrogs,
    }
