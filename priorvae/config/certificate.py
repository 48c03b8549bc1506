"""What a bundle must reach to be certified."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field, PositiveFloat, PositiveInt

from priorvae.config.section import Section

__all__ = ["CalibrationConfig", "CertificateConfig", "PosteriorConfig"]


class PosteriorConfig(Section):
    """Real data on which the decoder's posterior is held against the exact one, with bounds.

    Attributes:
        data: Table of the data: a path or `builtin:NAME`.
        id: Column of area ids (built-ins know theirs).
        formula: As in `priorvae infer`.
        family: As in `priorvae infer`.
        exact: Where the exact posterior comes from: `sampled` by NUTS, with a factorisation at
            every gradient; or `weighted`, the decoder's own draws taken to it by importance
            weights, on maps too large for that. Those must then be reliable.
        correlation: Least correlation of the areas' posterior means with the exact ones.
        rmse: Largest root mean squared difference of those means, in exact posterior sds.
        sd_ratio: Largest deviation of the mean ratio of posterior sds from 1.
        coverage_low: Least share of exact draws inside the decoder's 95 % intervals.
        coverage_high: Largest such share.
        hyper_pvalue: Least p-value of "the hyperparameters' posteriors are the same".
        hyper_shift: Largest shift of a hyperparameter's posterior mean in posterior sds, found by
            the weights to the exact posterior where they can be relied on; or null for no bound.
        importance_fraction: Least effective fraction of the weights that take the decoder's
            posterior to the exact one, or null for no bound.
    """

    data: str
    id: str | None = None
    formula: str
    family: Literal["poisson", "binomial"]
    exact: Literal["sampled", "weighted"] = "sampled"
    chains: PositiveInt = 4
    warmup: PositiveInt = 1000
    samples: PositiveInt = 1000
    correlation: Annotated[float, Field(gt=0, le=1)] = 0.999
    rmse: PositiveFloat = 0.10
    sd_ratio: PositiveFloat = 0.03
    coverage_low: Annotated[float, Field(gt=0, lt=1)] = 0.94
    coverage_high: Annotated[float, Field(gt=0, lt=1)] = 0.96
    hyper_pvalue: Annotated[float, Field(gt=0, lt=1)] = 0.01
    hyper_shift: PositiveFloat | None = None
    importance_fraction: Annotated[float, Field(gt=0, le=1)] | None = None


class CalibrationConfig(Section):
    """Simulation-based calibration: data sets simulated from the process, fitted with the decoder.

    Attributes:
        datasets: Data sets.
        family: Distribution of the data.
        mean_count: Median expected count, or number of trials, of an area.
        areas: Areas whose effects are ranked, spread over the map's order.
        warmup: Warm-up draws of each fit.
        samples: Draws of each fit after that.
        thinning: Of so many draws one is kept, so that those kept are nearly independent.
        target_accept: Acceptance probability the step size is adapted to.
        pvalue: Least family-wise p-value of "all ranks are equally likely".
    """

    datasets: Annotated[int, Field(ge=40)] = 500
    family: Literal["poisson", "binomial"] = "poisson"
    mean_count: PositiveFloat = 5.0
    areas: PositiveInt = 3
    warmup: PositiveInt = 300
    samples: PositiveInt = 600
    thinning: PositiveInt = 10
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    pvalue: Annotated[float, Field(gt=0, lt=1)] = 0.01

    @pydantic.model_validator(mode="after")
    def _enough(self) -> Self:
        if self.kept < 19:
            raise ValueError(
                f"samples / thinning draws are kept, and at least 19 are needed (got {self.kept})"
            )
        return self

    @property
    def kept(self) -> int:
        """Draws of each fit that are kept."""
        return self.samples // self.thinning


class CertificateConfig(Section):
    """What a bundle must reach to be certified.

    Attributes:
        num_conditions: Hyperparameter values, spread over the trained range, that are judged.
        covariance_error: Largest relative Frobenius error of the covariance.
        worst_sd: Largest relative deviation of an area's marginal sd.
        mean_sd: Largest deviation of the mean ratio of marginal sds from 1. Areas' errors average
            out, so what is left here is a systematic shrinkage or inflation of the prior.
        worst_mean: Largest difference of an area's means, in marginal sds. Judged where the means
            come from draws; those of a decoder linear in z are zero, as the process's are.
        neighbour_correlation: Largest deviation of the neighbour-correlation ratio from 1.
        worst_edge: Largest difference of the correlation of two neighbours. On a large map two
            areas that change places hardly show in any figure of the whole.
        bures_wasserstein: Largest squared Bures-Wasserstein distance over the trace.
        energy_pvalue: The same for the energy distance between draws, or null for no bound.
        mmd_pvalue: Least family-wise p-value of "decoder and process draw from one distribution".
        importance_fraction: Least effective fraction of importance weights, or null for no bound.
        num_draws: Draws for the figures that need them.
        posterior: Data for the posterior's part of the certificate, or null to leave it out.
        calibration: Simulated data sets for its third part, or null to leave it out.
    """

    num_conditions: Annotated[int, Field(ge=7)] = 7
    covariance_error: PositiveFloat = 0.05
    worst_sd: PositiveFloat = 0.05
    mean_sd: PositiveFloat = 0.02
    worst_mean: PositiveFloat = 0.1
    neighbour_correlation: PositiveFloat = 0.05
    worst_edge: PositiveFloat = 0.1
    bures_wasserstein: PositiveFloat = 0.01
    mmd_pvalue: Annotated[float, Field(gt=0, lt=1)] = 0.01
    energy_pvalue: Annotated[float, Field(gt=0, lt=1)] | None = None
    importance_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    num_draws: Annotated[int, Field(ge=100)] = 1000
    posterior: PosteriorConfig | None = None
    calibration: CalibrationConfig | None = None
