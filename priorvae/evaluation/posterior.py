"""Posterior fidelity: what a decoder does to the answer of an analysis.

Both posteriors come from the same model, data and sampler; one has the decoder as its spatial
prior, the other the process itself. Every distance stands beside what Monte Carlo alone gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from priorvae.errors import DataError, nearest
from priorvae.evaluation import twosample
from priorvae.evaluation.targets import generator

if TYPE_CHECKING:
    import jax


__all__ = [
    "AreaAgreement",
    "AreaMoments",
    "HyperFidelity",
    "PosteriorFidelity",
    "agreement",
    "arrays_of",
    "compare_posteriors",
]

INTERVAL = (0.025, 0.975)
NUM_BINS = 35


class AreaAgreement(NamedTuple):
    """How two sets of posterior draws of the same areas agree."""

    correlation: float
    """Correlation over the areas of the posterior means."""
    rmse: float
    """Root mean squared difference of the means, each in units of the second side's sd."""
    sd_ratio: float
    """Mean ratio of posterior sds, first over second."""
    coverage: float
    """Share of the second side's draws inside the first's central 95 % intervals."""
    shifts: np.ndarray
    """Difference of the means in units of the second side's sd, `(area,)`."""


@dataclass(frozen=True)
class HyperFidelity:
    """One hyperparameter's posterior, decoder against exact.

    Attributes:
        name: Name of the variable.
        scale: `log` where the comparison is of logarithms (positive draws), else `identity`.
        shift: Difference of the means, in exact posterior sds.
        shift_z: The same in Monte Carlo standard errors.
        log_sd_ratio: Difference of the log sds.
        log_sd_z: The same in Monte Carlo standard errors.
        wasserstein: 1-Wasserstein distance, in exact posterior sds.
        wasserstein_null: 95 % point of that distance for two samples of one distribution.
        pvalue: p-value of the Wasserstein distance.
        kolmogorov_smirnov: Largest difference of the distribution functions.
        kolmogorov_smirnov_pvalue: Its p-value.
        ess: Effective sample sizes, decoder and exact.
        edges: Bin edges of the two histograms, on the scale of the comparison.
        density: Histogram of the decoder's posterior density.
        exact_density: The same of the exact posterior.
    """

    name: str
    scale: str
    shift: float
    shift_z: float
    log_sd_ratio: float
    log_sd_z: float
    wasserstein: float
    wasserstein_null: float
    pvalue: float
    kolmogorov_smirnov: float
    kolmogorov_smirnov_pvalue: float
    ess: tuple[float, float]
    edges: tuple[float, ...] = ()
    density: tuple[float, ...] = ()
    exact_density: tuple[float, ...] = ()


@dataclass(frozen=True)
class AreaMoments:
    """Posterior mean and sd of every area, for figures.

    Attributes:
        mean: Under the decoder.
        sd: Under the decoder.
        exact_mean: Under the process itself.
        exact_sd: Under the process itself.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    exact_mean: tuple[float, ...]
    exact_sd: tuple[float, ...]


@dataclass(frozen=True)
class PosteriorFidelity:
    """How close a posterior under a decoder is to the exact one, on one data set.

    Attributes:
        data: What the data are.
        variable: Name of the areas' quantity that was compared.
        correlation: Correlation over the areas of the posterior means.
        rmse: Root mean squared difference of the means in exact posterior sds.
        sd_ratio: Mean ratio of the areas' posterior sds, decoder over exact.
        coverage: Share of exact draws inside the decoder's central 95 % intervals.
        worst_shift: Largest difference of means over the areas, in exact posterior sds, signed.
        worst_area: Id of its area.
        correlation_floor: The correlation that two exact runs of this length would have; None, as
            all floors, where both sides are made of the same draws.
        rmse_floor: Their RMSE.
        coverage_floor: The coverage of half of the exact draws by the other half's intervals.
        hyperparameters: One comparison per hyperparameter.
        draws: Draws of the decoder's and of the exact posterior, all chains together.
        areas: Posterior mean and sd of every area on both sides.
        truth_coverage: For simulated data, the share of areas whose true value lies in the central
            95 % interval under the decoder, and under the process.
        importance_fraction: Effective fraction of Pareto-smoothed importance weights that take
            the decoder's posterior to the exact one; None where the density is unknown.
        pareto_k: Their tail index.
        pareto_k_limit: Above it the weights cannot be relied on.
        shifts: Shift of each hyperparameter's posterior mean, decoder less exact, in posterior sds
            (of its logarithm where it is positive), and its Monte Carlo error: found by the
            weights, from the same draws, so without the noise of two runs. Empty where the weights
            cannot be relied on.
        area_shift: The same of the area that moves most.
        decoder_run: Diagnostics of the decoder's chains (seconds, divergences, largest R-hat...).
        exact_run: The same of the exact chains; None where there were none.
        paired: Whether the exact side is the decoder's own draws, taken to the exact posterior by
            weights: figures then compare draws with themselves, and have no null.
    """

    data: str
    variable: str
    correlation: float
    rmse: float
    sd_ratio: float
    coverage: float
    worst_shift: float
    worst_area: str
    correlation_floor: float | None
    rmse_floor: float | None
    coverage_floor: float | None
    hyperparameters: tuple[HyperFidelity, ...]
    draws: tuple[int, int]
    areas: AreaMoments
    truth_coverage: tuple[float, float] | None = None
    importance_fraction: float | None = None
    pareto_k: float | None = None
    pareto_k_limit: float = 0.7
    shifts: dict[str, tuple[float, float]] = field(default_factory=dict)
    area_shift: tuple[float, float] | None = None
    decoder_run: dict[str, float] | None = None
    exact_run: dict[str, float] | None = None
    paired: bool = False

    def largest_shift(self) -> float:
        """Return the hyperparameters' largest shift: by the weights, else of the two runs."""
        by_weights = [value for value, _ in self.shifts.values()]
        values = by_weights or [h.shift for h in self.hyperparameters]
        return max(map(abs, values), default=0.0)

    def familywise_pvalue(self) -> float:
        """Return the smallest hyperparameter p-value, Bonferroni-corrected for their number."""
        smallest = min((h.pvalue for h in self.hyperparameters), default=1.0)
        return min(1.0, smallest * max(len(self.hyperparameters), 1))


def compare_posteriors(
    key: jax.Array,
    approximate: Any,
    exact: Any,
    *,
    variable: str,
    hyperparameters: Sequence[str],
    area_ids: Sequence[str],
    data: str = "",
    truth: np.ndarray | None = None,
    paired: bool = False,
) -> PosteriorFidelity:
    """Compare the posterior under a decoder with the exact posterior.

    Args:
        key: Random key of the permutation tests.
        approximate: Posterior under the decoder: ArviZ data with a `posterior` group, or arrays
            `(chain, draw, ...)` by name.
        exact: Posterior under the process itself, likewise.
        variable: The areas' quantity to compare, `(chain, draw, area)` on both sides.
        hyperparameters: Scalars to compare, `(chain, draw)` on both sides.
        area_ids: Ids in the order of the area axis.
        data: What the data are, for the report.
        truth: The areas' true values `(area,)`, where the data were simulated.
        paired: Whether both sides are made of the same draws: there are no floors then.

    Raises:
        DataError: A variable is missing on one side.
    """
    ours, theirs = arrays_of(approximate), arrays_of(exact)
    first, second = _variable(ours, variable), _variable(theirs, variable)
    found = agreement(_pooled(first), _pooled(second))
    floor = agreement(*_halves(second))
    worst = int(np.argmax(np.abs(found.shifts)))
    rng = generator(key)
    return PosteriorFidelity(
        data=data,
        variable=variable,
        correlation=found.correlation,
        rmse=found.rmse,
        sd_ratio=found.sd_ratio,
        coverage=found.coverage,
        worst_shift=float(found.shifts[worst]),
        worst_area=area_ids[worst],
        # Halves have half the draws, so twice the variance of two runs of the whole length.
        correlation_floor=None if paired else 1 - (1 - floor.correlation) / 2,
        rmse_floor=None if paired else floor.rmse / np.sqrt(2),
        coverage_floor=None if paired else floor.coverage,
        paired=paired,
        hyperparameters=tuple(
            compare_hyperparameter(name, _variable(ours, name), _variable(theirs, name), rng)
            for name in hyperparameters
        ),
        draws=(first.shape[0] * first.shape[1], second.shape[0] * second.shape[1]),
        areas=_area_moments(_pooled(first), _pooled(second)),
        truth_coverage=None
        if truth is None
        else (_coverage(_pooled(first), truth), _coverage(_pooled(second), truth)),
    )


def _area_moments(ours: np.ndarray, theirs: np.ndarray) -> AreaMoments:
    sides = [tuple(s.tolist()) for d in (ours, theirs) for s in (d.mean(0), d.std(0, ddof=1))]
    return AreaMoments(*sides)


def _coverage(draws: np.ndarray, values: np.ndarray) -> float:
    """Return the share of values inside the draws' central 95 % intervals."""
    low, high = np.quantile(draws, INTERVAL, axis=0)
    return float(np.mean((values >= low) & (values <= high)))


def arrays_of(posterior: Any) -> dict[str, np.ndarray]:
    """Return a posterior's variables as arrays `(chain, draw, ...)` by name."""
    group = posterior.get("posterior", posterior)
    return {str(name): np.asarray(values) for name, values in group.items()}


def _variable(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise DataError(
            f"the posterior has no variable {name!r}{nearest(name, arrays)}; "
            f"it has {', '.join(arrays)}"
        )
    return np.asarray(arrays[name], dtype=np.float64)


def _pooled(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(-1, *draws.shape[2:])


def _halves(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split into independent halves: by chain where their number is even, else in time."""
    axis = 0 if draws.shape[0] % 2 == 0 else 1
    middle = draws.shape[axis] // 2
    first, second = np.split(draws, [middle], axis=axis)
    return _pooled(first), _pooled(second)


def agreement(approximate: np.ndarray, exact: np.ndarray) -> AreaAgreement:
    """Compare two sets of draws `(draw, area)` area by area.

    Equal posteriors have correlation 1, RMSE 0, sd ratio 1 and coverage 0.95.
    """
    sds = exact.std(0, ddof=1)
    shifts = (approximate.mean(0) - exact.mean(0)) / sds
    return AreaAgreement(
        correlation=float(np.corrcoef(approximate.mean(0), exact.mean(0))[0, 1]),
        rmse=float(np.sqrt(np.mean(shifts**2))),
        sd_ratio=float(np.mean(approximate.std(0, ddof=1) / sds)),
        coverage=_coverage(approximate, exact),
        shifts=shifts,
    )


def compare_hyperparameter(
    name: str, approximate: np.ndarray, exact: np.ndarray, rng: np.random.Generator
) -> HyperFidelity:
    """Compare two posteriors of a scalar, `(chain, draw)` each.

    Positive draws are compared on the log scale. The tests permute draws thinned to near
    independence, for which they are exact.
    """
    positive = min(approximate.min(), exact.min()) > 0
    if positive:
        approximate, exact = np.log(approximate), np.log(exact)
    ours, theirs = _summary(approximate), _summary(exact)
    first, second = _thinned(approximate, ours.ess), _thinned(exact, theirs.ess)
    distance = twosample.wasserstein(first, second, rng)
    largest = twosample.kolmogorov_smirnov(first, second, rng)
    shift, log_ratio = ours.mean - theirs.mean, ours.log_sd - theirs.log_sd
    sd = np.exp(theirs.log_sd)
    low, high = np.quantile(np.r_[approximate, exact], [0.001, 0.999])
    edges = np.linspace(low, high, NUM_BINS + 1)
    density, exact_density = (
        np.histogram(draws, edges, density=True)[0] for draws in (approximate, exact)
    )
    return HyperFidelity(
        name=name,
        scale="log" if positive else "identity",
        shift=float(shift / sd),
        shift_z=float(shift / np.hypot(ours.mean_error, theirs.mean_error)),
        log_sd_ratio=float(log_ratio),
        log_sd_z=float(log_ratio / np.hypot(ours.log_sd_error, theirs.log_sd_error)),
        wasserstein=float(distance.statistic / sd),
        wasserstein_null=float(distance.null / sd),
        pvalue=distance.pvalue,
        kolmogorov_smirnov=largest.statistic,
        kolmogorov_smirnov_pvalue=largest.pvalue,
        ess=(ours.ess, theirs.ess),
        edges=tuple(edges.tolist()),
        density=tuple(density.tolist()),
        exact_density=tuple(exact_density.tolist()),
    )


class _Summary(NamedTuple):
    """Mean and log sd of a chain with their Monte Carlo standard errors."""

    mean: float
    mean_error: float
    log_sd: float
    log_sd_error: float
    ess: float


def _summary(draws: np.ndarray) -> _Summary:
    mean, variance = draws.mean(), draws.var(ddof=1)
    squares = (draws - mean) ** 2
    ess, ess_squares = _ess(draws), _ess(squares)
    variance_error = squares.std(ddof=1) / np.sqrt(ess_squares)
    return _Summary(
        mean=float(mean),
        mean_error=float(np.sqrt(variance / ess)),
        log_sd=float(0.5 * np.log(variance)),
        # d log sd = d variance / (2 variance)
        log_sd_error=float(variance_error / (2 * variance)),
        ess=float(min(ess, ess_squares)),
    )


def _ess(draws: np.ndarray) -> float:
    from numpyro.diagnostics import effective_sample_size

    return float(min(effective_sample_size(draws), draws.size))


def _thinned(draws: np.ndarray, ess: float) -> np.ndarray:
    # Thinned to the ESS itself, neighbours of a slow chain still correlate by e^-2; to half of
    # it, by e^-4.
    step = int(np.ceil(2 * draws.size / ess)) if ess < 0.9 * draws.size else 1
    return draws[:, ::step].ravel()
