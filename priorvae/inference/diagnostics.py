"""Whether the chains can be believed, and a plain sentence where they cannot."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["Diagnostics", "diagnose", "ebfmi", "mixing", "per_parameter"]

MAX_RHAT = 1.01
MIN_EBFMI = 0.3
MIN_ESS_PER_CHAIN = 100


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of a run, over all parameters and areas.

    Attributes:
        max_rhat: Largest rank-normalised split R-hat (Vehtari et al. 2021).
        worst: The quantity that has it.
        min_ess_bulk: Smallest effective sample size of the bulk.
        min_ess_tail: Smallest effective sample size of the 5 % and 95 % quantiles.
        divergences: Divergent transitions after warm-up.
        min_ebfmi: Smallest estimated Bayesian fraction of missing information over the chains.
        mean_leapfrogs: Gradient evaluations per draw, on average.
        max_leapfrogs: The most for any draw.
        num_chains: Chains.
        num_draws: Draws per chain, after warm-up.
        seconds: Wall-clock time of the sampling, compilation and warm-up included.
    """

    max_rhat: float
    worst: str
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    min_ebfmi: float
    mean_leapfrogs: float
    max_leapfrogs: int
    num_chains: int
    num_draws: int
    seconds: float

    @property
    def min_ess_per_second(self) -> float:
        """Smallest effective sample size, bulk or tail, per second of the whole run."""
        return min(self.min_ess_bulk, self.min_ess_tail) / self.seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to distrust, and what to do about it; empty where all is well."""
        ess, needed = min(self.min_ess_bulk, self.min_ess_tail), MIN_ESS_PER_CHAIN * self.num_chains
        found = {
            f"R-hat is {self.max_rhat:.3f} for {self.worst} (should be at most {MAX_RHAT}): the "
            "chains have not mixed; run longer (--warmup, --samples)": not self.max_rhat
            <= MAX_RHAT,
            f"{self.divergences} of {self.num_chains * self.num_draws} transitions diverged: the "
            "posterior may be biased; raise the target acceptance, or use a more informative "
            "prior on the scale": self.divergences > 0,
            f"E-BFMI is {self.min_ebfmi:.2f} (should be at least {MIN_EBFMI}): the tails are "
            "explored slowly; run longer, or use more informative priors": not self.min_ebfmi
            >= MIN_EBFMI,
            f"the smallest effective sample size is {ess:.0f} (should be at least {needed}): "
            "intervals are noisy; run longer (--samples)": not ess >= needed,
        }
        return tuple(message for message, holds in found.items() if holds)

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain values for JSON, null where a figure is undefined."""
        figures = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return {**figures, "warnings": list(self.warnings)}


def diagnose(
    draws: Mapping[str, np.ndarray], stats: Mapping[str, np.ndarray], seconds: float
) -> Diagnostics:
    """Summarise the diagnostics of a run.

    Args:
        draws: The quantities to judge, `(chain, draw, ...)` each.
        stats: NumPyro's `diverging`, `energy` and `num_steps`, `(chain, draw)` each.
        seconds: Wall-clock time of the run.
    """
    chains, samples = stats["diverging"].shape
    return Diagnostics(
        **mixing(draws),
        divergences=int(stats["diverging"].sum()),
        min_ebfmi=float(ebfmi(stats["energy"]).min()),
        mean_leapfrogs=float(stats["num_steps"].mean()),
        max_leapfrogs=int(stats["num_steps"].max()),
        num_chains=chains,
        num_draws=samples,
        seconds=seconds,
    )


def mixing(draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the largest R-hat, the quantity that has it, and the smallest effective sizes.

    Args:
        draws: The quantities to judge, `(chain, draw, ...)` each.

    Returns:
        By the names that they have in `Diagnostics`.
    """
    table = per_parameter(draws)
    worst = max(table, key=lambda name: np.nan_to_num(table[name]["rhat"], nan=np.inf))
    return {
        "max_rhat": table[worst]["rhat"],
        "worst": worst,
        "min_ess_bulk": min(row["ess_bulk"] for row in table.values()),
        "min_ess_tail": min(row["ess_tail"] for row in table.values()),
    }


def per_parameter(draws: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Return R-hat and effective sample sizes, the worst element's for an array, by name."""
    import arviz as az  # seconds, which training does not need

    posterior = xr.Dataset({name: _labelled(name, values) for name, values in draws.items()})
    rhat = az.rhat(posterior)
    bulk, tail = az.ess(posterior, method="bulk"), az.ess(posterior, method="tail")
    return {
        name: {
            "rhat": float(rhat[name].max()),
            "ess_bulk": float(bulk[name].min()),
            "ess_tail": float(tail[name].min()),
        }
        for name in draws
    }


def ebfmi(energy: np.ndarray) -> np.ndarray:
    """Return `mean (E_t - E_{t-1})^2 / var E` for each chain (Betancourt 2016, equation 12)."""
    return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)


def _labelled(name: str, values: np.ndarray) -> tuple[list[str], np.ndarray]:
    if len(values) == 1:
        # ArviZ compares chains; the halves of a lone one are compared instead.
        half = values.shape[1] // 2
        values = values[0, : 2 * half].reshape(2, half, *values.shape[2:])
    rest = [f"{name}_dim_{axis}" for axis in range(values.ndim - 2)]
    return ["chain", "draw", *rest], values
