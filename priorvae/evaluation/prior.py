"""Prior fidelity: how close a decoder's draws are to those of the process it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from priorvae.errors import BundleError, preview
from priorvae.evaluation import metrics, twosample
from priorvae.evaluation.density import importance_fractions
from priorvae.evaluation.moments import Moments, compare_moments
from priorvae.evaluation.targets import (
    Target,
    build_target,
    condition_grid,
    generator,
    split,
)
from priorvae.inference.coupling import Coupled
from priorvae.processes.base import Gaussian, Process

if TYPE_CHECKING:
    import jax

__all__ = [
    "Decoder",
    "PointFidelity",
    "PriorFidelity",
    "Worst",
    "evaluate_prior",
    "moments_of",
    "shortfall",
]

NULL_REPEATS = 5
"""Samples of the process that make the Monte Carlo null of a figure measured from draws."""


FROM_MOMENTS = (
    "covariance_error",
    "mean_sd",
    "worst_sd",
    "worst_mean",
    "neighbour_correlation",
    "worst_edge",
    "bures_wasserstein",
)


class Decoder(Coupled, Protocol):
    """What evaluation needs of a decoder; `priorvae.bundles.Bundle` is one."""

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of a field: the area's id, or `layer/id`."""
        ...

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> jax.Array:
        """Draw fields `(draw, area)`."""
        ...


@dataclass(frozen=True)
class PointFidelity:
    """Figures at one value of the hyperparameters, or of the mixture over them.

    Attributes:
        hyper: The hyperparameters; empty where they are integrated out.
        covariance_error: Relative Frobenius error of the covariance.
        covariance_area: Id of the area whose row is furthest off.
        mean_sd: Mean over the areas of the marginal sd ratio, decoder over process.
        worst_sd: The marginal sd ratio furthest from 1.
        worst_sd_area: Id of its area.
        neighbour_correlation: Ratio of mean correlations over the edges.
        worst_edge: Decoder's minus process's correlation at the edge where they differ most.
        worst_edge_areas: Ids of its two areas.
        bures_wasserstein: Squared 2-Wasserstein distance over tr K.
        importance_fraction: Effective fraction of importance weights decoder -> process, of a
            decoder that is not linear in z estimated from draws; None where one of the two has no
            known density.
        mmd: Unbiased squared maximum mean discrepancy between draws.
        mmd_pvalue: Its p-value against the process-versus-process null.
        mmd_null: 95 % point of that null.
        energy: Energy distance between the same draws.
        energy_pvalue: Its p-value.
        worst_mean: Decoder's minus process's mean in sds of the process, where it is largest; None
            where both means are zero by construction.
        worst_mean_area: Id of its area.
        null: For figures measured from draws, the figure that draws of the process itself gave:
            the one furthest from perfect in several samples. Empty for exact figures.
    """

    hyper: dict[str, float]
    covariance_error: float
    covariance_area: str
    mean_sd: float
    worst_sd: float
    worst_sd_area: str
    neighbour_correlation: float
    worst_edge: float
    worst_edge_areas: tuple[str, ...]
    bures_wasserstein: float
    importance_fraction: float | None
    mmd: float
    mmd_pvalue: float
    mmd_null: float
    energy: float
    energy_pvalue: float
    worst_mean: float | None = None
    worst_mean_area: str = ""
    null: dict[str, float] = field(default_factory=dict)


class Worst(NamedTuple):
    """The worst value of a figure, and where it is."""

    value: float
    """The figure itself."""
    hyper: dict[str, float | str]
    """Hyperparameters at which it is worst, categories by their labels."""
    areas: tuple[str, ...]
    """Ids of the area or the neighbours it belongs to; empty for a figure of the whole map."""
    null: float | None
    """What draws of the process itself give, for a figure measured from draws."""


@dataclass(frozen=True)
class PriorFidelity:
    """Figures over the trained range of the hyperparameters.

    Attributes:
        points: One set of figures per value of the hyperparameters.
        mixture: Whether the decoder is judged against the mixture over the hyperprior.
        exact: Whether moments are analytic (a decoder linear in z), not from draws.
        num_draws: Draws behind the two-sample tests.
        num_moment_draws: Draws behind the moments where they are not analytic, else 0.
        reference: The same figures for the analytic reference decoder, where there is one.
        simulated: Whether the process's moments too come from draws, being known by nothing else.
        labels: By hyperparameter that is a category: the labels whose numbers the points have.
    """

    points: tuple[PointFidelity, ...]
    mixture: bool
    exact: bool
    num_draws: int
    num_moment_draws: int = 0
    reference: tuple[PointFidelity, ...] | None = None
    simulated: bool = False
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def label(self, name: str, value: float) -> float | str:
        """Return a hyperparameter's value, or its label where it is a category."""
        return self.labels[name][int(value)] if name in self.labels else value

    def worst(self, name: str) -> Worst | None:
        """Return the worst value of a figure over the points, or None where it has none."""
        found = [p for p in self.points if getattr(p, name) is not None]
        if not found:
            return None
        point = max(found, key=lambda p: shortfall(name, getattr(p, name)))
        place = {
            "covariance_error": (point.covariance_area,),
            "worst_sd": (point.worst_sd_area,),
            "worst_mean": (point.worst_mean_area,),
            "worst_edge": point.worst_edge_areas,
            "neighbour_correlation": point.worst_edge_areas,
        }
        hyper = {key: self.label(key, value) for key, value in point.hyper.items()}
        return Worst(getattr(point, name), hyper, place.get(name, ()), point.null.get(name))

    def reference_worst(self, name: str) -> float | None:
        """Return the reference decoder's worst value of a figure, or None without one."""
        if self.reference is None:
            return None
        worst = replace(self, points=self.reference, reference=None).worst(name)
        return None if worst is None else worst.value

    def familywise_pvalue(self, name: str) -> float:
        """Return the smallest p-value, Bonferroni-corrected for the number of points."""
        smallest = min(getattr(point, name) for point in self.points)
        return min(1.0, smallest * len(self.points))


def shortfall(name: str, value: float) -> float:
    """Return how far a figure is from its value for equal priors: larger is worse."""
    if name in ("mean_sd", "worst_sd", "neighbour_correlation", "sd_ratio"):
        return abs(value - 1)
    if name == "coverage":
        return abs(value - 0.95)
    if name in ("worst_mean", "worst_edge"):
        return abs(value)
    if name == "correlation" or name.endswith(("fraction", "pvalue")):
        return 1 - value
    return value


def evaluate_prior(
    key: jax.Array,
    decoder: Decoder,
    process: Process,
    *,
    num_conditions: int = 7,
    num_draws: int = 1000,
    num_moment_draws: int = 20_000,
    reference: Decoder | None = None,
) -> PriorFidelity:
    """Compare a decoder with the process it stands for, over the trained range.

    A decoder without conditions (PriorVAE) is compared with the mixture over the hyperprior.

    Args:
        key: Random key of the draws.
        decoder: The decoder to judge.
        process: The process it stands for, on the same areas in the same order.
        num_conditions: Values of the hyperparameter, equally spaced on its transformed scale.
        num_draws: Draws of each side for the two-sample tests.
        num_moment_draws: Draws for the moments of a decoder that is not linear in z, and of a
            process that is known by its draws alone.
        reference: The analytic reference decoder, judged beside it.

    Raises:
        BundleError: The decoder's areas are not those of the process, in its order.
    """
    _check_areas(decoder, process)
    mixture = not decoder.conditions and bool(process.conditions)
    hypers = [{}] if mixture else condition_grid(decoder.conditions, num_conditions)
    target = build_target(process, mixture)
    judge = _Judge(target, process, num_draws, num_moment_draws, num_permutations(len(hypers)))
    ours, theirs = split(key)
    simulated = not isinstance(process, Gaussian)
    return PriorFidelity(
        points=judge.points(ours, decoder, hypers),
        mixture=mixture,
        exact=decoder.is_linear and not simulated,
        num_draws=num_draws,
        num_moment_draws=0 if decoder.is_linear and not simulated else num_moment_draws,
        simulated=simulated,
        # A reference conditioned on theta has nothing to say about the mixture.
        reference=None if reference is None or mixture else judge.points(theirs, reference, hypers),
        labels={c.name: c.labels for c in decoder.conditions if c.labels},
    )


def _check_areas(decoder: Decoder, process: Process) -> None:
    ours, theirs = tuple(decoder.sites), process.sites
    if ours == theirs:
        return
    unknown = sorted(set(ours) ^ set(theirs))
    trouble = f"not in both: {preview(unknown)}" if unknown else "the same ids in another order"
    raise BundleError(
        f"the decoder's {len(ours)} areas are not the {len(theirs)} of the process "
        f"({trouble}); evaluate it against the process on the map it was trained on"
    )


def num_permutations(num_points: int) -> int:
    """Return permutations enough for a Bonferroni-corrected p-value well below .01."""
    return max(999, 300 * num_points)


def moments_of(
    key: jax.Array, decoder: Decoder, hyper: Mapping[str, float], num_draws: int
) -> Moments:
    """Return a decoder's moments: analytic where it is linear in z, else from draws."""
    if decoder.is_linear:
        matrix = np.asarray(decoder.matrix(hyper), dtype=np.float64)
        return Moments.exact(matrix @ matrix.T)
    return Moments.of(_draw(key, decoder, hyper, num_draws))


def _draw(
    key: jax.Array, decoder: Decoder, hyper: Mapping[str, float], num_draws: int
) -> np.ndarray:
    return np.asarray(decoder.sample(key, hyper, num_draws), dtype=np.float64)


class _Judge(NamedTuple):
    """Measures decoders against one target."""

    target: Target
    process: Process
    num_draws: int
    num_moment_draws: int
    num_permutations: int

    def points(
        self, key: jax.Array, decoder: Decoder, hypers: Sequence[Mapping[str, float]]
    ) -> tuple[PointFidelity, ...]:
        keys = split(key, len(hypers))
        fractions = self.fractions(key, decoder, hypers)
        return tuple(
            self.point(k, decoder, h, fraction)
            for k, h, fraction in zip(keys, hypers, fractions, strict=True)
        )

    def fractions(
        self, key: jax.Array, decoder: Decoder, hypers: Sequence[Mapping[str, float]]
    ) -> list[float | None]:
        """Return effective fractions of weights of draws, for a decoder not linear in z."""
        import jax

        if decoder.is_linear or not isinstance(self.process, Gaussian) or not self.target.gaussian:
            return [None] * len(hypers)
        weigh_key = jax.random.fold_in(key, len(hypers))
        return importance_fractions(weigh_key, decoder, self.process, hypers)

    def point(
        self,
        key: jax.Array,
        decoder: Decoder,
        hyper: Mapping[str, float],
        fraction: float | None,
    ) -> PointFidelity:
        ours, theirs, moments_key, null_key, shuffle = split(key, 5)
        actual = moments_of(moments_key, decoder, hyper, self.num_moment_draws)
        target_key, null_key = split(null_key)
        expected = self.target.moments(target_key, hyper, self.num_moment_draws)
        first = _draw(ours, decoder, hyper, self.num_draws)
        second = self.target.sample(theirs, hyper, self.num_draws)
        tests = twosample.compare_fields(
            first, second, generator(shuffle), num_permutations=self.num_permutations
        )
        known = actual.draws is None and self.target.gaussian
        figures, null = self.figures(null_key, actual, expected, hyper)
        return PointFidelity(
            hyper=dict(hyper),
            **figures,
            importance_fraction=metrics.importance_fraction(actual.covariance, expected.covariance)
            if known
            else fraction,
            mmd=tests.mmd.statistic,
            mmd_pvalue=tests.mmd.pvalue,
            mmd_null=tests.mmd.null,
            energy=tests.energy.statistic,
            energy_pvalue=tests.energy.pvalue,
            null=null,
        )

    def figures(
        self, key: jax.Array, actual: Moments, expected: Moments, hyper: Mapping[str, float]
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the figures from moments, and the worst that the process itself would give."""
        found = self.compare(actual, expected)
        if actual.draws is None and expected.draws is None:
            return found, {}
        repeats = [
            self.compare(*self.null_pair(k, actual, expected, hyper))
            for k in split(key, NULL_REPEATS)
        ]
        # The distance of a sample covariance is about this much above that of the true one: for n
        # independent areas and N draws (n + 1) / 4 N, more than a good decoder's own.
        excess = float(np.mean([r["bures_wasserstein"] for r in repeats]))
        for figures in (found, *repeats):
            figures["bures_wasserstein"] = max(figures["bures_wasserstein"] - excess, 0.0)
        null = {
            name: max((float(r[name]) for r in repeats), key=lambda v: shortfall(name, v))
            for name in FROM_MOMENTS
            if found[name] is not None
        }
        return found, null

    def compare(self, actual: Moments, expected: Moments) -> dict[str, Any]:
        return compare_moments(actual, expected, self.process.edges, self.process.sites)

    def null_pair(
        self, key: jax.Array, actual: Moments, expected: Moments, hyper: Mapping[str, float]
    ) -> tuple[Moments, Moments]:
        """Return moments that differ by chance alone, as those of an equal decoder would."""
        if expected.draws is None:
            return Moments.of(self.target.sample(key, hyper, self.num_moment_draws)), expected
        # A simulator may be slow, so that its draws serve again.
        rng = generator(key)
        same = expected._replace(draws=None) if actual.draws is None else expected.resampled(rng)
        return same, expected.resampled(rng)
