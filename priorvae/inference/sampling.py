"""Fit a regression with a spatial effect by NUTS."""

import time
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from numpyro.infer import MCMC, NUTS, init_to_value
from threadpoolctl import threadpool_limits

from priorvae.errors import DataError, RunError, preview
from priorvae.inference.correction import Correction
from priorvae.inference.design import RegressionData
from priorvae.inference.diagnostics import Diagnostics, diagnose
from priorvae.inference.prior import SpatialPrior
from priorvae.inference.regression import (
    EFFECT,
    RegressionPriors,
    build_model,
    parameter_names,
    typical_response,
)

__all__ = ["ChainMethod", "Fit", "default_chain_method", "fit"]

ChainMethod = Literal["auto", "parallel", "sequential", "vectorized"]
_STATS = ("diverging", "energy", "num_steps", "accept_prob")


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted regression.

    Attributes:
        data: What was fitted.
        parameters: Names of the scalar parameters, in the order of a table.
        hyperparameters: Those among them that belong to the spatial effect.
        idata: The draws and sampler statistics as ArviZ data, area ids as coordinates.
        diagnostics: Whether to believe them.
        priors: The regression's priors.
        correction: What was done to correct them to the exact posterior, where that was asked for.
    """

    data: RegressionData
    parameters: tuple[str, ...]
    hyperparameters: tuple[str, ...]
    idata: Any
    diagnostics: Diagnostics
    priors: RegressionPriors | None = None
    correction: Correction | None = None

    def draws(self, name: str) -> np.ndarray:
        """Return a quantity's draws, `(chain, draw)` or `(chain, draw, area)`."""
        return np.asarray(self.idata["posterior"][name])


def fit(
    key: jax.Array,
    data: RegressionData,
    prior: SpatialPrior,
    *,
    priors: RegressionPriors | None = None,
    num_warmup: int = 1000,
    num_samples: int = 1000,
    num_chains: int = 4,
    chain_method: ChainMethod = "auto",
    target_accept: float = 0.95,
    progress: bool = False,
) -> Fit:
    """Fit a regression with a spatial effect by NUTS.

    The intercept, the slopes, the effect's scale and its conditions share a dense mass matrix;
    the latents, independent and of unit scale a priori, have a diagonal one.

    Args:
        key: Random key.
        data: Response, covariates and offset, in the order of the prior's areas.
        prior: A bundle, or `ExactPrior` for comparison: the model and the sampler are the same.
        priors: Priors of the regression; scaled to the data where None.
        num_warmup: Warm-up draws per chain, not kept.
        num_samples: Draws kept per chain.
        num_chains: Chains.
        chain_method: How NumPyro runs the chains; see `default_chain_method`.
        target_accept: Acceptance probability the step size is adapted to; at 0.9 a draw in some
            thousands diverged on the example data, at 0.95 none did.
        progress: Whether to show NumPyro's progress bar.

    Raises:
        DataError: The data are not on the prior's areas, in their order.
        ConditionError: A hyperprior leaves the range the prior was trained on.
        RunError: The sampler finds no starting point, or the draws are not finite.
    """
    _check_areas(data, prior)
    sampler = MCMC(
        NUTS(
            build_model(data, prior, priors),
            dense_mass=[_dense_block(data, prior, priors)],
            target_accept_prob=target_accept,
            # The rest starts anywhere in (-2, 2) of its unconstrained space, chains apart.
            init_strategy=init_to_value(values={"centre": typical_response(data)}),
        ),
        num_warmup=num_warmup,
        num_samples=num_samples,
        num_chains=num_chains,
        chain_method=default_chain_method(num_chains) if chain_method == "auto" else chain_method,
        progress_bar=progress,
    )
    seconds = _run(sampler, key)
    return _collect(sampler, data, prior, priors, seconds)


def default_chain_method(num_chains: int) -> ChainMethod:
    """Return `parallel` with a device per chain, else `vectorized` on a GPU, else `sequential`.

    On a CPU, chains in a batch wait at every draw for the longest trajectory among them, and the
    batched decoder saves less than that costs.
    """
    if jax.local_device_count() >= num_chains:
        return "parallel"
    return "sequential" if jax.default_backend() == "cpu" else "vectorized"


def _check_areas(data: RegressionData, prior: SpatialPrior) -> None:
    if data.area_ids != tuple(prior.sites):
        differ = sorted(set(data.area_ids) ^ set(prior.sites))
        raise DataError(
            "the data are not in the order of the prior's areas; use join_by_id"
            + (f" (areas on one side only: {preview(differ)})" if differ else "")
        )


def _dense_block(
    data: RegressionData, prior: SpatialPrior, priors: RegressionPriors | None
) -> tuple[str, ...]:
    """Return the sampled sites that are few and correlated; a fixed one is not sampled."""
    fixed = (priors or RegressionPriors()).fixed
    block = ["centre"] if data.formula.has_intercept else []
    block += ["slopes"] if data.covariates else []
    names = [name for name in ("scale", *(c.name for c in prior.conditions)) if name not in fixed]
    return (*block, *(f"{EFFECT}_{name}" for name in names))


def _run(sampler: MCMC, key: jax.Array) -> float:
    start = time.perf_counter()
    try:
        # Chains are the parallel work here. Matrix libraries that start threads of their own for
        # each small factorisation wait for one another, and take several times as long.
        with threadpool_limits(1, user_api="blas"):
            sampler.run(key, extra_fields=_STATS)
            jax.block_until_ready(sampler.get_samples())
    except RuntimeError as error:
        if "initial parameters" not in str(error):
            raise
        raise RunError(
            "the sampler found no starting point with a finite density; check the data for "
            "extreme values, and offsets for the wrong unit"
        ) from None
    return time.perf_counter() - start


def _collect(
    sampler: MCMC,
    data: RegressionData,
    prior: SpatialPrior,
    priors: RegressionPriors | None,
    seconds: float,
) -> Fit:
    parameters = parameter_names(data, prior, priors)
    samples = sampler.get_samples(group_by_chain=True)
    stats = sampler.get_extra_fields(group_by_chain=True)
    judged = {name: np.asarray(samples[name]) for name in (*parameters, EFFECT, data.measure)}
    broken = [name for name, values in judged.items() if not np.isfinite(values).all()]
    if broken:
        raise RunError(f"the draws of {preview(broken)} are not finite; check the data's scale")
    hyper = [f"{EFFECT}_{condition.name}" for condition in prior.conditions]
    moving = {name: values for name, values in judged.items() if np.ptp(values) > 0}
    return Fit(
        data=data,
        parameters=parameters,
        hyperparameters=tuple(name for name in parameters if name in hyper),
        idata=_to_arviz(sampler, data),
        diagnostics=diagnose(moving, {k: np.asarray(v) for k, v in stats.items()}, seconds),
        priors=priors,
    )


def _to_arviz(sampler: MCMC, data: RegressionData) -> Any:
    import arviz as az  # seconds, which training does not need

    per_area = [EFFECT, "mu", "y", *(["risk"] if data.has_risk else [])]
    return az.from_numpyro(
        sampler,
        log_likelihood=False,
        coords={"area": list(data.area_ids), "covariate": list(data.covariates)},
        dims={
            **{name: ["area"] for name in per_area},
            f"{EFFECT}_z": ["latent"],
            "slopes": ["covariate"],
        },
    )
