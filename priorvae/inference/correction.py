"""What a correction by importance weights did to a posterior, and draws of equal weight from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from priorvae.inference.importance import ImportanceWeights, reliable_below

if TYPE_CHECKING:
    import jax

__all__ = ["Correction", "Shift", "shift", "systematic_resample"]


class Shift(NamedTuple):
    """How far a decoder's posterior mean is from the exact one, estimated by weights."""

    value: float
    """Decoder's minus corrected mean, in corrected posterior sds."""
    error: float
    """Its Monte Carlo standard error."""


@dataclass(frozen=True, eq=False)
class Correction:
    """A correction from a decoder's posterior to the exact one.

    Attributes:
        weights: The smoothed weights, in the shape `(chain, draw)` of the draws.
        source: Position in its chain of the draw that each corrected draw is, `(chain, draw)`;
            None where the weights cannot be relied on, and the draws were left as they were.
        parameters: Shift of each scalar parameter, of the logarithm of a positive hyperparameter;
            empty where the draws were left as they were.
        areas: The areas' largest shift, of the mapped quantity.
        worst_area: Id of its area.
        sampled: The sampler's own draws as ArviZ data, with `log_weight` among their statistics.
    """

    weights: ImportanceWeights
    source: np.ndarray | None
    parameters: Mapping[str, Shift]
    areas: Shift | None
    worst_area: str
    sampled: Any

    @property
    def applied(self) -> bool:
        """Whether the draws are those of the exact posterior."""
        return self.source is not None

    @property
    def limit(self) -> float:
        """The largest `pareto_k` of this many draws to rely on."""
        return reliable_below(self.weights.log_weights.size)

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain values for JSON."""
        weights = self.weights
        return {
            "applied": self.applied,
            "reason": weights.doubt,
            "effective_fraction": weights.fraction,
            "pareto_k": weights.pareto_k,
            "pareto_k_limit": self.limit,
            "shifts": {name: found._asdict() for name, found in self.parameters.items()},
            "worst_area": self.worst_area,
            "worst_area_shift": None if self.areas is None else self.areas._asdict(),
        }


def shift(draws: np.ndarray, exact: np.ndarray, log_weights: np.ndarray) -> Shift:
    """Estimate how far the mean of a decoder's draws is from that of the exact posterior.

    Args:
        draws: The decoder's, `(chain, draw)`.
        exact: What each becomes with the process's field in the decoder's place, likewise.
        log_weights: Normalised, in the same shape.
    """
    from numpyro.diagnostics import effective_sample_size

    weights = draws.size * np.exp(log_weights)
    mean, sd = weighted_moments(exact, weights)
    terms = ((draws - mean) - weights * (exact - mean)) / sd
    if np.ptp(terms) == 0:
        return Shift(float(terms.mean()), 0.0)
    ess = min(float(effective_sample_size(terms)), terms.size)
    return Shift(float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(ess)))


def weighted_moments(draws: np.ndarray, weights: np.ndarray) -> tuple[Any, Any]:
    """Return mean and sd of draws `(chain, draw, ...)` by weights `(chain, draw)`."""
    pooled, flat = draws.reshape(weights.size, *draws.shape[2:]), weights.ravel()
    mean = np.average(pooled, axis=0, weights=flat)
    return mean, np.sqrt(np.average((pooled - mean) ** 2, axis=0, weights=flat))


def systematic_resample(key: jax.Array, log_weights: np.ndarray) -> np.ndarray:
    """Draw from each chain as many positions as it has, in proportion to their weights.

    Systematic resampling (Kitagawa 1996): a draw of weight `w` is taken `floor(N w)` or
    `ceil(N w)` times, and equal weights take each draw once. Positions ascend, so that a chain
    stays a chain: its repeats are neighbours, which its effective sample size accounts for.

    Args:
        key: Random key.
        log_weights: `(chain, draw)`.

    Returns:
        Positions in the chain, `(chain, draw)`.
    """
    import jax

    chains, num = log_weights.shape
    starts = np.asarray(jax.random.uniform(key, (chains,)), dtype=np.float64)
    result = np.empty((chains, num), dtype=np.int64)
    for row, start, logs in zip(result, starts, log_weights, strict=True):
        weights = np.exp(logs - logs.max())
        bounds = np.cumsum(weights) / weights.sum()
        row[:] = np.searchsorted(bounds, (start + np.arange(num)) / num, side="right")
    return np.minimum(result, num - 1)
