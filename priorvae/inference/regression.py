"""The regression model `link(mean) = Intercept + X b + f + offset`, in a geometry NUTS likes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from priorvae.inference.design import RegressionData
from priorvae.inference.effect import Hyperprior, spatial_effect
from priorvae.inference.prior import SpatialPrior

__all__ = [
    "EFFECT",
    "RegressionPriors",
    "build_model",
    "coefficient_names",
    "parameter_names",
    "typical_response",
]

EFFECT = "f"
"""Name of the spatial effect's site."""


@dataclass(frozen=True)
class RegressionPriors:
    """Priors of a regression, scaled to the data as in brms and rstanarm.

    Attributes:
        intercept_scale: Scale of the Student-t (3 degrees of freedom) of the intercept with every
            covariate at its mean, about the median response on the link scale.
        slope_scale: Standard deviation of a coefficient, normal about 0, per covariate sd.
        scale: Prior of the spatial effect's sd; half-normal with scale 1 where None.
        conditions: Hyperpriors of the spatial prior's conditions, or values to fix them; as trained
            where not named.
    """

    intercept_scale: float = 2.5
    slope_scale: float = 2.5
    scale: Hyperprior | None = None
    conditions: tuple[tuple[str, Hyperprior], ...] = ()

    @property
    def fixed(self) -> frozenset[str]:
        """Names of the spatial effect's hyperparameters, `scale` among them, that are fixed."""
        given = {"scale": self.scale, **dict(self.conditions)}
        open_ = (dist.Distribution, type(None))
        return frozenset(name for name, value in given.items() if not isinstance(value, open_))


def build_model(
    data: RegressionData, prior: SpatialPrior, priors: RegressionPriors | None = None
) -> Callable[[], None]:
    """Return the NumPyro model of a regression with a spatial effect.

    With `X` the design, `x` its column means, `theta` the conditions,

        b0 ~ StudentT(3, m, 2.5),   b_j ~ N(0, 2.5 / sd(X_j)),   z ~ N(0, I),
        f = s D(z, theta),   eta = b0 + (X - x) b + f + offset,   y ~ family(eta).

    Two reparametrisations leave this model unchanged and shorten the trajectories: the slopes are
    sampled per standard deviation, and `centre = b0 + mean(f)` is sampled in place of `b0`, since
    the data inform the sum and not its parts.

    Sites: `Intercept` (covariates at 0, as brms reports it), `b_<covariate>`, `f`, `f_z`,
    `f_scale`, `f_<condition>`, `mu` (expected count, or probability), and `risk`, the mean per
    unit of exposure, where a log link has an offset.
    """
    options = priors or RegressionPriors()
    means, sds = _moments(data)
    standardised = jnp.asarray((data.design - means) / sds)
    location = typical_response(data)

    def model() -> None:
        f = spatial_effect(EFFECT, prior, scale=options.scale, conditions=dict(options.conditions))
        b = _slopes(data, sds, options.slope_scale)
        eta = standardised @ b + f
        if data.formula.has_intercept:
            shift = jnp.mean(f)
            about = dist.StudentT(3.0, location + shift, options.intercept_scale)
            centre = numpyro.sample("centre", about)
            numpyro.deterministic("Intercept", centre - shift - jnp.dot(means / sds, b))
            eta = eta + centre - shift
        _observe(data, eta)

    return model


def coefficient_names(data: RegressionData) -> tuple[str, ...]:
    """Return the site `b_<covariate>` of each covariate.

    A slash cannot be part of a netCDF name, so `I(a / b)` becomes `b_I(a_per_b)`.
    """
    tight = [re.sub(r"\s*([-*/+:,=()])\s*", r"\1", name) for name in data.covariates]
    return tuple("b_" + name.replace("/", "_per_").replace(" ", "_") for name in tight)


def parameter_names(
    data: RegressionData, prior: SpatialPrior, priors: RegressionPriors | None = None
) -> tuple[str, ...]:
    """Return the scalar sites worth reporting, in the order of a table; what is fixed is none."""
    intercept = ("Intercept",) if data.formula.has_intercept else ()
    fixed = (priors or RegressionPriors()).fixed
    names = [name for name in ("scale", *(c.name for c in prior.conditions)) if name not in fixed]
    return (*intercept, *coefficient_names(data), *(f"{EFFECT}_{name}" for name in names))


def typical_response(data: RegressionData) -> float:
    """Return the median response on the link scale, the offset taken off."""
    return float(np.median(data.family.to_link(data.y, data.trials) - data.offset))


def _moments(data: RegressionData) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns' means and sds; without an intercept there is nothing to centre on."""
    sds = data.design.std(axis=0, ddof=1)
    if data.formula.has_intercept:
        return data.design.mean(axis=0), sds
    return np.zeros(data.design.shape[1]), np.where(sds > 0, sds, 1.0)


def _slopes(data: RegressionData, sds: np.ndarray, scale: float) -> jax.Array:
    """Sample the slopes per standard deviation, and report them on the scale of the data."""
    if not data.covariates:
        return jnp.zeros(0)
    b = numpyro.sample("slopes", dist.Normal(jnp.zeros(len(sds)), scale).to_event(1))
    for position, name in enumerate(coefficient_names(data)):
        numpyro.deterministic(name, b[position] / sds[position])
    return b


def _observe(data: RegressionData, eta: jax.Array) -> None:
    offset = jnp.asarray(data.offset)
    numpyro.deterministic("mu", data.family.mean(eta + offset))
    if data.has_risk:
        numpyro.deterministic("risk", data.family.mean(eta))
    trials = None if data.trials is None else jnp.asarray(data.trials)
    numpyro.sample("y", data.family.likelihood(eta + offset, trials), obs=jnp.asarray(data.y))
