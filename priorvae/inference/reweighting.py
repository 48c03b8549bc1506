"""A fit with a decoder, corrected to the fit with the process itself."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from priorvae.errors import InputError
from priorvae.inference.correction import (
    Correction,
    Shift,
    shift,
    systematic_resample,
    weighted_moments,
)
from priorvae.inference.diagnostics import mixing
from priorvae.inference.importance import (
    ImportanceWeights,
    Weighable,
    log_importance_weights,
    obstacle,
    smooth,
)
from priorvae.inference.regression import EFFECT
from priorvae.inference.sampling import Fit
from priorvae.processes.base import Gaussian, Process

if TYPE_CHECKING:
    import jax

__all__ = ["correct_fit", "latent_draws", "require_correctable"]


def require_correctable(decoder: Weighable, process: Process) -> Gaussian:
    """Return the process if a fit with the decoder can be corrected to it.

    Raises:
        InputError: It cannot, for a reason the message gives.
    """
    reason = obstacle(decoder, process)
    if reason is not None or not isinstance(process, Gaussian):
        raise InputError(f"--correct: {reason}")
    return process


def correct_fit(key: jax.Array, fit: Fit, decoder: Weighable, process: Gaussian) -> Fit:
    """Correct a fit with a decoder to the fit with the process the decoder stands for.

    Every draw gets the importance weight `w = p(f | theta) / q(f | theta)`, exact over decoder
    (see `log_importance_weights`), smoothed over all chains together (Vehtari et al. 2024). Each
    chain is then resampled by its weights, so that tables and maps come from draws of equal weight.
    Where the weights cannot be relied on, the draws stay what they were, and `correction` says why.

    Args:
        key: Random key of the resampling.
        fit: A fit with the decoder.
        decoder: The decoder.
        process: The process it stands for; see `require_correctable`.

    Returns:
        The fit with its draws and diagnostics replaced, and `correction` set. R-hat and effective
        sample sizes are those of the corrected draws, repeats included; divergences, energies,
        gradients and seconds those of the sampler, which ran with the decoder.
    """
    weights = _weigh(fit, decoder, process)
    log_weight = xr.DataArray(weights.log_weights, dims=("chain", "draw"))
    sampled = deepcopy(fit.idata)
    sampled["sample_stats"]["log_weight"] = log_weight
    sampled["sample_stats"].attrs.update(_attributes(weights))
    if not weights.reliable:
        correction = Correction(weights, None, {}, None, "", sampled)
        return replace(fit, idata=sampled, correction=correction)
    source = systematic_resample(key, weights.log_weights)
    areas, worst_area = _largest_shift(fit, weights)
    correction = Correction(weights, source, _shifts(fit, weights), areas, worst_area, sampled)
    corrected = replace(fit, idata=_resampled(sampled, source), correction=correction)
    judged = {n: corrected.draws(n) for n in (*fit.parameters, EFFECT, fit.data.measure)}
    moving = {name: values for name, values in judged.items() if np.ptp(values) > 0}
    return replace(corrected, diagnostics=replace(fit.diagnostics, **mixing(moving)))


def latent_draws(fit: Fit, names: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a fit's draws of `z`, `(draw, latent)`, and of hyperparameters, `(draw,)` each."""
    z = fit.draws(f"{EFFECT}_z")
    hypers = {name: fit.draws(f"{EFFECT}_{name}").ravel() for name in names}
    return z.reshape(-1, z.shape[-1]), hypers


def _weigh(fit: Fit, decoder: Weighable, process: Gaussian) -> ImportanceWeights:
    z, hypers = latent_draws(fit, [c.name for c in process.conditions])
    raw = log_importance_weights(decoder, process, z, hypers)
    values = raw.values.reshape(fit.draws(f"{EFFECT}_z").shape[:2])
    return smooth(values, relative_efficiency=_efficiency(values), folded=raw.folded)


def _attributes(weights: ImportanceWeights) -> dict[str, float]:
    pareto_k = np.nan if weights.pareto_k is None else weights.pareto_k
    return {"pareto_k": pareto_k, "effective_fraction": weights.fraction, "folded": weights.folded}


def _efficiency(log_weights: np.ndarray) -> float:
    """Return the share of the draws that is left, in effect, of their autocorrelation."""
    from numpyro.diagnostics import effective_sample_size

    if not np.isfinite(log_weights).all() or np.ptp(log_weights) == 0:
        return 1.0
    return min(float(effective_sample_size(log_weights)) / log_weights.size, 1.0)


def _shifts(fit: Fit, weights: ImportanceWeights) -> dict[str, Shift]:
    found = {}
    for name in fit.parameters:
        draws = fit.draws(name)
        # Scales and lengthscales are skewed, and compared by their logarithms in a certificate too.
        logarithmic = name.startswith(f"{EFFECT}_") and draws.min() > 0
        found[name] = shift(np.log(draws) if logarithmic else draws, weights.log_weights)
    return found


def _largest_shift(fit: Fit, weights: ImportanceWeights) -> tuple[Shift, str]:
    draws = fit.draws(fit.data.measure)
    mean, sd = weighted_moments(draws, np.exp(weights.log_weights))
    worst = int(np.argmax(np.abs(draws.mean(axis=(0, 1)) - mean) / sd))
    return shift(draws[..., worst], weights.log_weights), fit.data.area_ids[worst]


def _resampled(sampled: Any, source: np.ndarray) -> Any:
    """Return ArviZ data with every draw replaced by one of its chain.

    The sampler's statistics belong to its own draws, in their order; what is left of them is the
    weight and the position that each draw had.
    """
    found = deepcopy(sampled)
    posterior, stats = found["posterior"], found["sample_stats"]
    for name in list(posterior.data_vars):
        values = posterior[name]
        index = source.reshape(*source.shape, *(1,) * (values.ndim - 2))
        posterior[name] = values.copy(data=np.take_along_axis(values.to_numpy(), index, axis=1))
    weight = np.take_along_axis(stats["log_weight"].to_numpy(), source, axis=1)
    for name in list(stats.data_vars):
        del stats[name]
    stats["log_weight"] = (("chain", "draw"), weight)
    stats["source_draw"] = (("chain", "draw"), source)
    return found
