"""The spatial effect of a PyMC model: the twin of `priorvae.inference.effect`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.distributions.transforms import Interval
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable
from scipy import stats

from priorvae.decoders import Decoder, Weights, pytensor_backend
from priorvae.inference.refusals import fixed_category, require_known, require_mass_inside
from priorvae.processes.conditions import Condition

__all__ = ["DecoderPrior", "spatial_effect"]

_STABLE = Mode(linker="py", optimizer="fast_run")
"""Every rewriting that keeps a cdf from losing its digits, and nothing to compile for one value."""

_RANDOM = (RandomVariable, SymbolicRandomVariable)

Hyperprior: TypeAlias = Any
"""A `pm.X.dist(...)`, a variable of the model, or a number; a category is fixed by its label."""


class DecoderPrior(Protocol):
    """What PyMC needs of a prior: a bundle has it, and `bundle.at(places)`."""

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of `f`: the area's id, or `layer/id` where there are layers."""

    @property
    def decoder(self) -> Decoder:
        """The specification."""

    @property
    def weights(self) -> Weights:
        """The decoder's weights by flat name."""


def spatial_effect(
    name: str,
    prior: DecoderPrior,
    *,
    scale: Hyperprior | None = None,
    conditions: Mapping[str, Hyperprior] | None = None,
    index: ArrayLike | None = None,
) -> Any:
    """Add a spatial effect to the PyMC model of the context, and return it.

    With `z ~ N(0, I)`, `theta` the prior's conditions and `s` the scale,

        f = s * D(z, theta).

    Variables: `{name}_z`, one `{name}_{condition}` per condition, `{name}_scale`, and the
    deterministic `{name}`, whose dimension `{name}_area` has the area ids as its coordinate.

    Args:
        name: Prefix of the variables.
        prior: A bundle, or a bundle at other places.
        scale: Prior of the marginal standard deviation, `pm.Exponential.dist(1.0)` for example, a
            variable of the model, or a number to fix it; half-normal with scale 1 where not given.
        conditions: Hyperpriors by condition name, of the same kinds; what is not named keeps the
            hyperprior the prior was trained with. A category must be fixed, by its label: NUTS
            samples continuous parameters only.
        index: `(observation,)` positions of the observations' areas, where there is not exactly
            one observation per area in the prior's order. With layers (times, outcomes) the values
            are those of the first layer, then of the second, in the order of `prior.sites`.

    Returns:
        `f`, a variable `(area,)`, or one value an area in each layer; or `f[index]`.

    Raises:
        ConditionError: A condition is unknown, its value or hyperprior leaves the trained range, or
            a category is not fixed.
    """
    model, decoder = pm.modelcontext(None), prior.decoder
    area, latent = (model.name_for(f"{name}_{dim}") for dim in ("area", "latent"))
    hyper = _condition_sites(name, decoder.conditions, conditions or {})
    model.add_coords({area: prior.sites, latent: range(decoder.latent_dim)})
    z = pm.Normal(f"{name}_z", shape=decoder.latent_dim, dims=latent)
    s = _site(f"{name}_scale", pm.HalfNormal.dist(1.0) if scale is None else scale)
    unit_scale = pytensor_backend.decode(decoder, prior.weights, z, hyper)
    f = pm.Deterministic(name, s * unit_scale, dims=area)
    if index is None:
        return f
    return f[index if isinstance(index, Variable) else np.asarray(index)]


def _condition_sites(
    name: str, conditions: tuple[Condition, ...], given: Mapping[str, Hyperprior]
) -> dict[str, Any]:
    require_known(name, conditions, given)
    return {
        condition.name: _condition_site(
            f"{name}_{condition.name}", condition, given.get(condition.name)
        )
        for condition in conditions
    }


def _condition_site(site: str, condition: Condition, value: Hyperprior | None) -> Any:
    if condition.labels:
        fixed = None if isinstance(value, Variable) else value
        return _site(site, fixed_category(site, fixed, condition))
    if value is None:
        bounds = Interval(*_range(condition))
        model = pm.modelcontext(None)
        return model.register_rv(_trained(condition), site, default_transform=bounds)
    _check_within(site, value, condition)
    return _site(site, value)


def _site(name: str, value: Hyperprior) -> Any:
    """Register a distribution; of anything else, a variable or number, keep the value by name."""
    model = pm.modelcontext(None)
    if _is_random(value) and value not in model.basic_RVs:
        return model.register_rv(value, name)
    return pm.Deterministic(name, pt.as_tensor(value))


def _is_random(value: Any) -> bool:
    """Whether a variable is a distribution's draw, rather than a function of draws."""
    return getattr(value, "owner", None) is not None and isinstance(value.owner.op, _RANDOM)


def _depends_on_random(variables: Sequence[Any]) -> bool:
    return any(
        _is_random(variable)
        or (variable.owner is not None and _depends_on_random(variable.owner.inputs))
        for variable in variables
    )


def _trained(condition: Condition) -> Any:
    """Return the hyperprior that the decoder was trained with, as `condition.numpyro()` has it."""
    low, high = _range(condition)
    parameters = {name: np.float64(value) for name, value in condition.parameters.items()}
    match condition.distribution:
        case "uniform":
            return pm.Uniform.dist(low, high)
        case "loguniform":
            return _custom("LogUniform", _log_uniform, condition, math.log(low), math.log(high))
        case "beta":
            stretch = (parameters["a"], parameters["b"], low, high)
            return _custom("StretchedBeta", _stretched_beta, condition, *stretch)
        case "normal":
            return _truncated(
                "TruncatedNormal", _truncated_normal, _normal_logp, condition, (low, high)
            )
        case _:
            ends = (math.log(low), math.log(high))
            return _truncated(
                "TruncatedLogNormal", _truncated_lognormal, _lognormal_logp, condition, ends
            )


def _range(condition: Condition) -> tuple[np.float64, np.float64]:
    """Return the trained range; of Python's round floats PyTensor takes logarithms in float32."""
    return np.float64(condition.low), np.float64(condition.high)


def _custom(
    family: str, draw: Any, condition: Condition, *parameters: float, logp: Any = None
) -> Any:
    """Return a distribution by how it is drawn; its density is derived where none is given."""
    middle = float(condition.quantile(np.asarray(0.5)))
    return pm.CustomDist.dist(
        *parameters,
        dist=draw,
        logp=logp,
        support_point=lambda *_: pt.constant(middle),
        class_name=family,
    )


def _truncated(
    family: str, draw: Any, logp: Any, condition: Condition, ends: tuple[float, float]
) -> Any:
    """Return a normal between two ends, or its exponential, with the exact log of its mass there.

    PyMC computes that mass with a square root of 2 in float32, which puts its own log density off
    by a constant of up to 1e-6.
    """
    loc, scale = (np.float64(condition.parameters[name]) for name in ("loc", "scale"))
    low, high = ((end - loc) / scale for end in ends)
    at = min(max(0.0, low), high)
    log_mass = np.float64(stats.norm.logpdf(at) - stats.truncnorm.logpdf(at, low, high))
    return _custom(family, draw, condition, loc, scale, *ends, log_mass, logp=logp)


def _log_uniform(low: Any, high: Any, size: Any) -> Any:
    return pt.exp(pm.Uniform.dist(low, high, size=size))


def _stretched_beta(a: Any, b: Any, low: Any, high: Any, size: Any) -> Any:
    return low + (high - low) * pm.Beta.dist(a, b, size=size)


def _truncated_normal(loc: Any, scale: Any, low: Any, high: Any, log_mass: Any, size: Any) -> Any:
    return pm.TruncatedNormal.dist(loc, scale, lower=low, upper=high, size=size)


def _normal_logp(value: Any, loc: Any, scale: Any, low: Any, high: Any, log_mass: Any) -> Any:
    inside = pt.and_(pt.ge(value, low), pt.le(value, high))
    return pt.switch(inside, pm.logp(pm.Normal.dist(loc, scale), value) - log_mass, -np.inf)


def _truncated_lognormal(*parameters: Any) -> Any:
    return pt.exp(_truncated_normal(*parameters))


def _lognormal_logp(value: Any, *parameters: Any) -> Any:
    return _normal_logp(pt.log(value), *parameters) - pt.log(value)


def _check_within(site: str, value: Hyperprior, condition: Condition) -> None:
    if not isinstance(value, Variable):
        condition.check(value)
        return
    # Of a function of random variables, or a distribution with random parameters, the mass outside
    # is unknown before sampling.
    if not _is_random(value) or _depends_on_random(value.owner.inputs):
        return
    family = type(value.owner.op).__name__.removesuffix("RV")
    outside = _mass_outside(value, condition.low, condition.high)
    require_mass_inside(site, condition, family, outside, uniform="pm.Uniform.dist")


def _mass_outside(value: Any, low: float, high: float) -> float | None:
    """Return the probability outside [low, high]; None where the distribution has no cdf."""
    slack = 1e-6 * (high - low)  # at its very bound the cdf of a truncated normal is not a number
    try:
        below, within = (pm.logcdf(value, bound) for bound in (low - slack, high + slack))
    except NotImplementedError:
        return None
    inside = pt.exp(within) - pt.exp(below)
    return 1.0 - float(inside.eval(mode=_STABLE))
