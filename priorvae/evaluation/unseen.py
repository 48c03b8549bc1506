"""Prediction where nothing was trained and nothing was observed: decoder against exact process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.linalg import cho_factor, cho_solve

from priorvae.areas.types import Areas
from priorvae.bundles import Bundle
from priorvae.bundles.places import PriorAtPlaces
from priorvae.errors import BundleError
from priorvae.processes.base import Gaussian, Hyper, require_gaussian
from priorvae.processes.build import build_process, read_process
from priorvae.processes.mixture import quadrature

__all__ = ["Predictions", "UnseenFidelity", "predict", "unseen_fidelity"]

_MOMENT_DRAWS = 20_000
_BISECTIONS = 50

Moments = Callable[[dict[str, float]], tuple[np.ndarray, np.ndarray]]
"""From hyperparameters to a mean `(area,)` and a covariance `(area, area)`."""


@dataclass(frozen=True)
class UnseenFidelity:
    """Prediction at areas left out of training and data, over simulated data sets.

    Attributes:
        rmse: Root mean squared error of the decoder's predictive means.
        exact_rmse: That of the exact process.
        ratio: The first over the second.
        ratio_error: Monte Carlo standard error of the ratio, over data sets.
        coverage: Share of true values in the decoder's 95 % intervals.
        coverage_error: Its standard error, over data sets.
        exact_coverage: That of the exact process.
        num_data: Number of data sets.
    """

    rmse: float
    exact_rmse: float
    ratio: float
    ratio_error: float
    coverage: float
    coverage_error: float
    exact_coverage: float
    num_data: int


class Predictions(NamedTuple):
    """Predictive distributions of several data sets at several areas."""

    mean: np.ndarray
    """Shape `(data, area)`."""
    low: np.ndarray
    """The 2.5 % point, `(data, area)`."""
    high: np.ndarray
    """The 97.5 % point, `(data, area)`."""


def unseen_fidelity(
    rng: np.random.Generator,
    bundle: Bundle,
    areas: Areas,
    unseen: np.ndarray,
    *,
    num_data: int,
    noise_sd: float,
) -> UnseenFidelity:
    """Compare a decoder's predictions with the exact process's, where neither has data.

    Each data set has hyperparameters from the hyperprior, a field on the whole map, and a noisy
    value at every seen area. Hyperparameters are inferred by both, on one quadrature grid, so that
    nothing is sampled but the data: the predictive distribution is a mixture of normals. Of a
    decoder that is not linear in z the first two moments stand for it, from 20,000 draws.

    Args:
        rng: Source of the data.
        bundle: A decoder that knows its prior at other places; trained without the unseen areas.
        areas: The whole map.
        unseen: Positions of the areas that are left out, in `areas`.
        num_data: Number of data sets.
        noise_sd: Standard deviation of the observations about the field.

    Raises:
        BundleError: An unseen area is one of the bundle's own, or the bundle knows no other places.
    """
    if known := sorted(set(bundle.area_ids) & {areas.ids[i] for i in unseen}):
        raise BundleError(f"{known[0]} is an area of the bundle, so it is not unseen")
    process = require_gaussian(
        build_process(read_process(bundle.info.process.config), areas), "prediction at unseen areas"
    )
    seen = np.setdiff1d(np.arange(len(areas)), unseen)
    fields, data = _simulate(rng, process, seen, num_data, noise_sd)
    grid = quadrature(process)
    there = bundle.at(areas)
    decoder, exact = (
        predict(moments, grid, data, seen, unseen, noise_sd)
        for moments in (_of_decoder(rng, there), _of_process(process))
    )
    return _compared(decoder, exact, fields[:, unseen])


def predict(
    moments: Moments,
    grid: list[tuple[float, dict[str, float]]],
    data: np.ndarray,
    seen: np.ndarray,
    unseen: np.ndarray,
    noise_sd: float,
) -> Predictions:
    """Predict the field at unseen areas from noisy values at seen ones, by quadrature.

    Args:
        moments: Of the field, given hyperparameters.
        grid: Weighted hyperparameters that integrate over the hyperprior.
        data: Observations, `(data, seen)`.
        seen: Positions with observations.
        unseen: Positions to predict.
        noise_sd: Standard deviation of the observations about the field.
    """
    logs, means, sds = [], [], []
    for weight, hyper in grid:
        mean, covariance = moments(hyper)
        noisy = covariance[np.ix_(seen, seen)] + noise_sd**2 * np.eye(len(seen))
        factor = cho_factor(noisy, lower=True)
        across = covariance[np.ix_(unseen, seen)]
        residual = (data - mean[seen]).T
        solved = cho_solve(factor, residual)
        log_det = 2 * np.log(np.diag(factor[0])).sum()
        logs.append(np.log(weight) - 0.5 * (np.sum(residual * solved, axis=0) + log_det))
        means.append(mean[unseen] + (across @ solved).T)
        left = np.diag(covariance)[unseen] - np.sum(across.T * cho_solve(factor, across.T), axis=0)
        sds.append(np.sqrt(np.maximum(left, 1e-12)))
    shares = special.softmax(np.array(logs), axis=0)[:, :, None]
    centres, widths = np.array(means), np.array(sds)[:, None]
    low, high = (_quantile(shares, centres, widths, p) for p in (0.025, 0.975))
    return Predictions(np.sum(shares * centres, axis=0), low, high)


def _quantile(
    shares: np.ndarray, means: np.ndarray, sds: np.ndarray, probability: float
) -> np.ndarray:
    """Return a quantile of mixtures of normals over the first axis, by bisection."""
    low, high = (means - 10 * sds).min(axis=0), (means + 10 * sds).max(axis=0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = np.sum(shares * special.ndtr((middle - means) / sds), axis=0) < probability
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _simulate(
    rng: np.random.Generator, process: Gaussian, seen: np.ndarray, num_data: int, noise_sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return fields `(data, area)` and observations `(data, seen)`."""
    fields = np.empty((num_data, process.size))
    for row in fields:
        hyper = {c.name: float(c.quantile(np.array(rng.uniform()))) for c in process.conditions}
        root = np.linalg.cholesky(process.covariance(hyper))
        row[:] = root @ rng.standard_normal(process.size)
    return fields, fields[:, seen] + noise_sd * rng.standard_normal((num_data, len(seen)))


def _of_process(process: Gaussian) -> Moments:
    return lambda hyper: (np.zeros(process.size), process.covariance(hyper))


def _of_decoder(rng: np.random.Generator, prior: PriorAtPlaces) -> Moments:
    names = {condition.name for condition in prior.conditions}
    z = None if prior.is_linear else rng.standard_normal((_MOMENT_DRAWS, prior.latent_dim))

    def moments(hyper: Hyper) -> tuple[np.ndarray, np.ndarray]:
        given = {name: value for name, value in hyper.items() if name in names}
        if z is None:
            matrix = prior.matrix(given)
            return np.zeros(len(matrix)), matrix @ matrix.T
        draws = prior.decode_numpy(z, given)
        return draws.mean(axis=0), np.cov(draws, rowvar=False)

    return moments


def _compared(decoder: Predictions, exact: Predictions, truth: np.ndarray) -> UnseenFidelity:
    squared, reference = (np.mean((p.mean - truth) ** 2, axis=1) for p in (decoder, exact))
    covered, covered_exactly = (
        np.mean((p.low <= truth) & (truth <= p.high), axis=1) for p in (decoder, exact)
    )
    ratio = float(np.sqrt(squared.mean() / reference.mean()))
    # Of a ratio of means, by its linear part: the two are errors of the same data.
    parts = (squared / squared.mean() - reference / reference.mean()) / 2
    root_num = len(truth) ** 0.5
    return UnseenFidelity(
        rmse=float(np.sqrt(squared.mean())),
        exact_rmse=float(np.sqrt(reference.mean())),
        ratio=ratio,
        ratio_error=float(ratio * parts.std(ddof=1) / root_num),
        coverage=float(covered.mean()),
        coverage_error=float(covered.std(ddof=1) / root_num),
        exact_coverage=float(covered_exactly.mean()),
        num_data=len(truth),
    )
