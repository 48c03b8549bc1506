"""A fit with a decoder, corrected to the fit with the process itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from priorvae.inference.coupling import Coupled, couple, obstacle
from priorvae.inference.diagnostics import mixing
from priorvae.inference.importance import ImportanceWeights, smooth
from priorvae.inference.regression import EFFECT
from priorvae.inference.replay import replay
from priorvae.inference.sampling import Fit
from priorvae.processes.base import Gaussian, Process

if TYPE_CHECKING:
    import jax

__all__ = ["correct_fit", "exact_fields", "latent_draws", "require_correctable"]


def require_correctable(decoder: Coupled, process: Process) -> Gaussian:
    """Return the process if a fit with the decoder can be corrected to it.

    Raises:
        InputError: It cannot, for a reason the message gives.
    """
    reason = obstacle(decoder, process)
    if reason is not None or not isinstance(process, Gaussian):
        raise InputError(f"--correct: {reason}")
    return process


def correct_fit(
    key: jax.Array, fit: Fit, decoder: Coupled, process: Gaussian, *, always: bool = False
) -> Fit:
    """Correct a fit with a decoder to the fit with the process the decoder stands for.

    Both models share the latents `z ~ N(0, I)` and all other parameters; the decoder's makes of
    them the field `D(z, theta)`, the exact one `R(theta) U z`, which has the process's covariance
    (see `couple`). So a draw of the decoder's posterior, its field replaced, is a draw of the exact
    one with the weight

        w = p(y, ... | R(theta) U z) / p(y, ... | D(z, theta)),

    the ratio of what data and intercept make of the two fields. Weights are smoothed over all
    chains together (Vehtari et al. 2024), and each chain is resampled by them, so that tables and
    maps come from draws of equal weight. Where the weights cannot be relied on, the draws stay what
    they were, and `correction` says why.

    Args:
        key: Random key of the resampling.
        fit: A fit with the decoder.
        decoder: The decoder.
        process: The process it stands for; see `require_correctable`.
        always: Whether to correct by weights that cannot be relied on, too.

    Returns:
        The fit with its draws and diagnostics replaced, and `correction` set. R-hat and effective
        sample sizes are those of the corrected draws, repeats included; divergences, energies,
        gradients and seconds those of the sampler, which ran with the decoder.
    """
    import jax

    pad_key, resample_key = jax.random.split(key)
    fields = exact_fields(pad_key, fit, decoder, process)
    ours = replay(fit, decoder.conditions, _unit_fields(fit))
    theirs = replay(fit, decoder.conditions, fields)
    weights = _smoothed((theirs.log_density - ours.log_density).reshape(_shape(fit)))
    sampled = _with_weights(fit.idata, weights)
    if not (weights.reliable or always):
        correction = Correction(weights, None, {}, None, "", sampled)
        return replace(fit, idata=sampled, correction=correction)
    moved = _replaced(sampled, theirs.quantities)
    source = systematic_resample(resample_key, weights.log_weights)
    areas, worst_area = _largest_shift(fit, moved, weights)
    shifts = _shifts(fit, moved, weights)
    correction = Correction(weights, source, shifts, areas, worst_area, sampled)
    corrected = replace(fit, idata=_resampled(moved, source), correction=correction)
    judged = {n: corrected.draws(n) for n in (*fit.parameters, EFFECT, fit.data.measure)}
    moving = {name: values for name, values in judged.items() if np.ptp(values) > 0}
    return replace(corrected, diagnostics=replace(fit.diagnostics, **mixing(moving)))


def exact_fields(key: jax.Array, fit: Fit, decoder: Coupled, process: Gaussian) -> np.ndarray:
    """Return the process's fields that belong to a fit's latents, `(draw, area)`; see `couple`.

    Args:
        key: Random key of the further normals where the decoder has fewer latents than the process.
        fit: A fit with the decoder.
        decoder: The decoder.
        process: The process it stands for.
    """
    import jax

    z, hypers = latent_draws(fit, [c.name for c in process.conditions])
    coupling = couple(decoder, process, hypers)
    more = jax.random.normal(key, (len(z), coupling.latent_dim - z.shape[1]))
    return coupling.fields(np.c_[z, more], hypers)


def latent_draws(fit: Fit, names: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a fit's draws of `z`, `(draw, latent)`, and of hyperparameters, `(draw,)` each."""
    z = fit.draws(f"{EFFECT}_z")
    hypers = {name: fit.draws(f"{EFFECT}_{name}").ravel() for name in names}
    return z.reshape(-1, z.shape[-1]), hypers


def _shape(fit: Fit) -> tuple[int, ...]:
    return fit.draws(f"{EFFECT}_z").shape[:2]


def _unit_fields(fit: Fit) -> np.ndarray:
    """Return the decoder's own fields, `(draw, area)`."""
    scaled = fit.draws(EFFECT) / fit.draws(f"{EFFECT}_scale")[..., None]
    return scaled.reshape(-1, scaled.shape[-1]).astype(np.float64)


def _smoothed(log_weights: np.ndarray) -> ImportanceWeights:
    return smooth(log_weights, relative_efficiency=_efficiency(log_weights))


def _with_weights(idata: Any, weights: ImportanceWeights) -> Any:
    found = deepcopy(idata)
    log_weight = xr.DataArray(weights.log_weights, dims=("chain", "draw"))
    found["sample_stats"]["log_weight"] = log_weight
    found["sample_stats"].attrs.update(_attributes(weights))
    return found


def _replaced(sampled: Any, quantities: Mapping[str, np.ndarray]) -> Any:
    """Return ArviZ data with what follows from the field made from the exact one."""
    found = deepcopy(sampled)
    posterior = found["posterior"]
    for name, values in quantities.items():
        if name in posterior:
            posterior[name] = posterior[name].copy(data=values.reshape(posterior[name].shape))
    return found


def _attributes(weights: ImportanceWeights) -> dict[str, float]:
    pareto_k = np.nan if weights.pareto_k is None else weights.pareto_k
    return {"pareto_k": pareto_k, "effective_fraction": weights.fraction}


def _efficiency(log_weights: np.ndarray) -> float:
    """Return the share of the draws that is left, in effect, of their autocorrelation."""
    from numpyro.diagnostics import effective_sample_size

    if not np.isfinite(log_weights).all() or np.ptp(log_weights) == 0:
        return 1.0
    return min(float(effective_sample_size(log_weights)) / log_weights.size, 1.0)


def _shifts(fit: Fit, moved: Any, weights: ImportanceWeights) -> dict[str, Shift]:
    found = {}
    for name in fit.parameters:
        draws, exact = fit.draws(name), np.asarray(moved["posterior"][name])
        # Scales and lengthscales are skewed, and compared by their logarithms in a certificate too.
        if name.startswith(f"{EFFECT}_") and draws.min() > 0:
            draws, exact = np.log(draws), np.log(exact)
        found[name] = shift(draws, exact, weights.log_weights)
    return found


def _largest_shift(fit: Fit, moved: Any, weights: ImportanceWeights) -> tuple[Shift, str]:
    draws, exact = fit.draws(fit.data.measure), np.asarray(moved["posterior"][fit.data.measure])
    mean, sd = weighted_moments(exact, np.exp(weights.log_weights))
    worst = int(np.argmax(np.abs(draws.mean(axis=(0, 1)) - mean) / sd))
    found = shift(draws[..., worst], exact[..., worst], weights.log_weights)
    return found, fit.data.area_ids[worst]


def _resampled(moved: Any, source: np.ndarray) -> Any:
    """Return ArviZ data with every draw replaced by one of its chain.

    The sampler's statistics belong to its own draws, in their order; what is left of them is the
    weight and the position that each draw had.
    """
    found = deepcopy(moved)
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
