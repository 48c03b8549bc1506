"""The certificate: every figure against its threshold, and a verdict in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from priorvae.config import CalibrationConfig, CertificateConfig, PosteriorConfig
from priorvae.evaluation.calibration import Calibration
from priorvae.evaluation.posterior import PosteriorFidelity
from priorvae.evaluation.prior import PriorFidelity, shortfall

__all__ = ["Certificate", "Figure", "certify"]


@dataclass(frozen=True)
class Figure:
    """One figure of the certificate.

    Attributes:
        name: Its field in `PriorFidelity.points` or `PosteriorFidelity`, or `calibration_pvalue`.
        part: `prior`, `posterior` or `calibration`.
        label: Its name in plain words.
        value: The figure, worst over what was judged.
        low: Least value allowed, or None.
        high: Largest value allowed, or None.
        passed: Whether it lies within.
        hyper: Hyperparameters at which it is worst, where it belongs to some; categories by label.
        areas: Ids of the area or pair of neighbours it belongs to, where it belongs to some.
        null: The same figure for the exact prior or posterior: what Monte Carlo alone gives.
        reference: The same figure for the analytic reference decoder.
    """

    name: str
    part: str
    label: str
    value: float
    low: float | None
    high: float | None
    passed: bool
    hyper: dict[str, float | str] = field(default_factory=dict)
    areas: tuple[str, ...] = ()
    null: float | None = None
    reference: float | None = None

    @property
    def bounds(self) -> str:
        """The threshold as text, such as `at most 0.05`."""
        if self.low is None:
            return f"at most {self.high:g}"
        if self.high is None:
            return f"at least {self.low:g}"
        return f"{self.low:g} to {self.high:g}"

    @property
    def place(self) -> str:
        """Where it is worst, such as `lengthscale = 42.3, area 37001`; may be empty."""
        parts = [
            f"{name} = {value if isinstance(value, str) else format(value, '.4g')}"
            for name, value in self.hyper.items()
        ]
        if self.areas:
            noun = "area" if len(self.areas) == 1 else "neighbours"
            parts.append(f"{noun} {' and '.join(self.areas)}")
        return ", ".join(parts)

    @property
    def undecided(self) -> bool:
        """Whether draws of the process itself fail as well, and it fails by no more than that."""
        if self.passed or self.null is None or self.part != "prior":
            return False
        noise = shortfall(self.name, self.null)
        low = None if self.low is None else self.low - noise
        high = None if self.high is None else self.high + noise
        return not _within(self.null, self.low, self.high) and _within(self.value, low, high)

    @property
    def remedy(self) -> str:
        """What to do about a figure that is undecided; empty for others."""
        if not self.undecided:
            return ""
        return f"Monte Carlo alone gives {self.null:.4g} here: raise certificate.num_draws"

    def sentence(self) -> str:
        """Say what it is, what was required and where it is worst."""
        where = f", worst at {self.place}" if self.place else ""
        remedy = f". {self.remedy}" if self.undecided else ""
        return f"{self.label} is {self.value:.4g} (required: {self.bounds}){where}{remedy}"


@dataclass(frozen=True)
class Certificate:
    """The verdict on a bundle.

    Attributes:
        status: `passed` or `failed`.
        figures: Every figure that was judged.
        thresholds: The thresholds they were judged by.
    """

    status: str
    figures: tuple[Figure, ...]
    thresholds: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every figure passed."""
        return self.status == "passed"

    @property
    def failures(self) -> tuple[Figure, ...]:
        """The figures that failed."""
        return tuple(figure for figure in self.figures if not figure.passed)

    def summary(self) -> str:
        """Return the verdict in plain words, one failed figure a line."""
        if self.passed:
            return f"passed: all {len(self.figures)} figures are within their thresholds"
        lines = [f"failed: {len(self.failures)} of {len(self.figures)} figures"]
        return "\n".join([*lines, *(f"  {figure.sentence()}" for figure in self.failures)])


def certify(
    prior: PriorFidelity,
    posterior: PosteriorFidelity | None,
    config: CertificateConfig,
    calibration: Calibration | None = None,
) -> Certificate:
    """Judge a bundle by the thresholds of its configuration.

    Args:
        prior: Its prior fidelity.
        posterior: Its posterior fidelity; None where it was not measured.
        config: The thresholds. Those of a posterior that was not measured are not judged.
        calibration: Its simulation-based calibration; None where it was not measured.
    """
    figures = [*_prior_figures(prior, config)]
    if posterior is not None:
        figures += _posterior_figures(posterior, config.posterior or _published_bounds())
    if calibration is not None:
        figures.append(_calibration_figure(calibration, config.calibration or CalibrationConfig()))
    # NaN compares false with everything, so it fails.
    status = "passed" if all(figure.passed for figure in figures) else "failed"
    return Certificate(status, tuple(figures), config.model_dump(mode="json"))


def _published_bounds() -> PosteriorConfig:
    """Return the default thresholds, for a comparison that the configuration did not ask for."""
    return PosteriorConfig(data="", formula="", family="poisson")


def _prior_figures(prior: PriorFidelity, config: CertificateConfig) -> Iterator[Figure]:
    one_sd, mean_sd = config.worst_sd, config.mean_sd
    edge, distance = config.neighbour_correlation, config.bures_wasserstein
    mean, pair = config.worst_mean, config.worst_edge
    bounds: list[tuple[str, str, float | None, float | None]] = [
        ("covariance_error", "Relative error of the covariance", None, config.covariance_error),
        ("mean_sd", "Mean ratio of marginal sds", 1 - mean_sd, 1 + mean_sd),
        ("worst_sd", "Worst area's ratio of marginal sds", 1 - one_sd, 1 + one_sd),
        ("worst_mean", "Worst area's difference of means, in sds", -mean, mean),
        ("neighbour_correlation", "Ratio of neighbour correlations", 1 - edge, 1 + edge),
        ("worst_edge", "Worst difference of two neighbours' correlation", -pair, pair),
        ("bures_wasserstein", "Squared Bures-Wasserstein distance / trace", None, distance),
    ]
    if config.importance_fraction is not None:
        label = "Effective fraction of importance weights"
        bounds.append(("importance_fraction", label, config.importance_fraction, None))
    for name, label, low, high in bounds:
        worst = prior.worst(name)
        if worst is not None:
            yield _figure(
                name, "prior", label, worst.value, low, high,
                hyper=worst.hyper, areas=worst.areas, null=worst.null,
                reference=prior.reference_worst(name),
            )  # fmt: skip
    lowest = prior.worst("mmd_pvalue")
    assert lowest is not None
    yield _figure(
        "mmd_pvalue", "prior", "Family-wise p-value of the MMD between draws",
        prior.familywise_pvalue("mmd_pvalue"), config.mmd_pvalue, None, hyper=lowest.hyper,
    )  # fmt: skip
    energy = prior.worst("energy_pvalue")
    if config.energy_pvalue is not None and energy is not None:
        yield _figure(
            "energy_pvalue", "prior", "Family-wise p-value of the energy distance between draws",
            prior.familywise_pvalue("energy_pvalue"), config.energy_pvalue, None,
            hyper=energy.hyper,
        )  # fmt: skip


def _posterior_figures(posterior: PosteriorFidelity, bounds: PosteriorConfig) -> Iterator[Figure]:
    def figure(
        name: str, label: str, value: float, low: float | None, high: float | None, **more: Any
    ) -> Figure:
        return _figure(name, "posterior", label, value, low, high, **more)

    p = posterior
    area = (p.worst_area,)
    yield figure(
        "correlation", "Correlation of the areas' posterior means", p.correlation,
        bounds.correlation, None, null=p.correlation_floor,
    )  # fmt: skip
    yield figure(
        "rmse", "RMSE of the areas' posterior means, in posterior sds", p.rmse,
        None, bounds.rmse, null=p.rmse_floor, areas=area,
    )  # fmt: skip
    yield figure(
        "sd_ratio", "Mean ratio of the areas' posterior sds", p.sd_ratio,
        1 - bounds.sd_ratio, 1 + bounds.sd_ratio,
    )  # fmt: skip
    yield figure(
        "coverage", "Exact draws inside the decoder's 95 % intervals", p.coverage,
        bounds.coverage_low, bounds.coverage_high, null=p.coverage_floor,
    )  # fmt: skip
    if p.importance_fraction is not None and bounds.importance_fraction is not None:
        yield figure(
            "importance_fraction", "Effective fraction of weights to the exact posterior",
            p.importance_fraction, bounds.importance_fraction, None,
        )  # fmt: skip
    if p.paired:
        # Draws that are all but equal have no tail.
        yield figure(
            "pareto_k", "Tail index of the weights to the exact posterior",
            0.0 if p.pareto_k is None else p.pareto_k, None, p.pareto_k_limit,
        )  # fmt: skip
    names = ", ".join(h.name.removeprefix("f_") for h in p.hyperparameters)
    if not p.hyperparameters:
        return
    if bounds.hyper_shift is not None:
        yield figure(
            "hyper_shift", f"Largest shift of the posterior means of {names}, in posterior sds",
            p.largest_shift(), None, bounds.hyper_shift,
        )  # fmt: skip
    # Draws compared with themselves differ by less than chance: the test would see nothing.
    if p.paired:
        return
    yield figure(
        "hyper_pvalue", f"Family-wise p-value of equal posteriors of {names}",
        p.familywise_pvalue(), bounds.hyper_pvalue, None,
    )  # fmt: skip


def _calibration_figure(calibration: Calibration, bounds: CalibrationConfig) -> Figure:
    label = (
        f"Family-wise p-value of uniform ranks over {calibration.datasets} data sets (least "
        f"uniform: {calibration.worst.name})"
    )
    value = calibration.familywise_pvalue()
    return _figure("calibration_pvalue", "calibration", label, value, bounds.pvalue, None)


def _figure(
    name: str,
    part: str,
    label: str,
    value: float,
    low: float | None,
    high: float | None,
    **more: Any,
) -> Figure:
    return Figure(name, part, label, value, low, high, _within(value, low, high), **more)


def _within(value: float, low: float | None, high: float | None) -> bool:
    passed = (low is None or value >= low) and (high is None or value <= high)
    return bool(passed and value == value)
