"""The spatial effect of a NumPyro model: sites, hyperpriors, and the refusal to extrapolate."""

from collections.abc import Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike

from priorvae.inference.prior import SpatialPrior
from priorvae.inference.refusals import fixed_category, require_known, require_mass_inside
from priorvae.processes.conditions import Condition

__all__ = ["spatial_effect"]

Hyperprior: TypeAlias = dist.Distribution | float | str
"""A prior of a hyperparameter, or a number that fixes it; a category is fixed by its label."""


def spatial_effect(
    name: str,
    prior: SpatialPrior,
    *,
    scale: Hyperprior | None = None,
    conditions: Mapping[str, Hyperprior] | None = None,
    index: ArrayLike | None = None,
) -> jax.Array:
    """Add a spatial effect to the NumPyro model that calls this, and return it.

    With `z ~ N(0, I)`, `theta` the prior's conditions and `s` the scale,

        f = s * D(z, theta).

    Sites: `{name}_z`, one `{name}_{condition}` per condition, `{name}_scale`, and the
    deterministic `{name}`, `(area,)`.

    Args:
        name: Prefix of the sites.
        prior: A bundle, or `ExactPrior`.
        scale: Prior of the marginal standard deviation, or a number to fix it; half-normal with
            scale 1 where not given.
        conditions: Hyperpriors by condition name, or numbers to fix them; what is not named keeps
            the hyperprior the prior was trained with. A category must be fixed, by its label:
            NUTS samples continuous parameters only.
        index: `(observation,)` positions of the observations' areas, where there is not exactly
            one observation per area in the prior's order. With layers (times, outcomes) the values
            are those of the first layer, then of the second: `layer * num_areas + area`, in the
            order of the bundle's `sites`.

    Returns:
        `f`, `(area,)`, or one value an area in each layer; or `f[index]`, `(observation,)`.

    Raises:
        ConditionError: A condition is unknown, its value or hyperprior leaves the trained range, or
            a category is not fixed.
    """
    hyper = _condition_sites(name, prior.conditions, conditions or {})
    standard = dist.Normal(jnp.zeros(prior.latent_dim), 1.0).to_event(1)
    z = numpyro.sample(f"{name}_z", standard)
    s = _site(f"{name}_scale", dist.HalfNormal(1.0) if scale is None else scale)
    f = numpyro.deterministic(name, s * prior.decode(z, hyper))
    return f if index is None else f[jnp.asarray(index)]


def _condition_sites(
    name: str, conditions: tuple[Condition, ...], given: Mapping[str, Hyperprior]
) -> dict[str, jax.Array]:
    require_known(name, conditions, given)
    hyper = {}
    for condition in conditions:
        hyperprior = given.get(condition.name)
        if condition.labels:
            fixed = None if isinstance(hyperprior, dist.Distribution) else hyperprior
            hyperprior = fixed_category(f"{name}_{condition.name}", fixed, condition)
        elif hyperprior is None:
            hyperprior = condition.numpyro()
        else:
            _check_within(f"{name}_{condition.name}", hyperprior, condition)
        hyper[condition.name] = _site(f"{name}_{condition.name}", hyperprior)
    return hyper


def _site(name: str, value: Hyperprior) -> jax.Array:
    if isinstance(value, dist.Distribution):
        return numpyro.sample(name, value)
    return numpyro.deterministic(name, jnp.asarray(value, dtype=float))


def _check_within(site: str, hyperprior: Hyperprior, condition: Condition) -> None:
    if not isinstance(hyperprior, dist.Distribution):
        condition.check(hyperprior)
        return
    # NumPyro traces a model eagerly before it compiles it, so a concrete hyperprior has been
    # checked by the time its parameters are tracers; one with random parameters cannot be.
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(hyperprior)):
        return
    with jax.ensure_compile_time_eval():
        outside = _mass_outside(hyperprior, condition.low, condition.high)
    family = type(hyperprior).__name__
    require_mass_inside(site, condition, family, outside, uniform="dist.Uniform")


def _mass_outside(hyperprior: dist.Distribution, low: float, high: float) -> float | None:
    """Return the probability outside [low, high]; None where all that is known is that some is."""
    support = hyperprior.support
    slack = 1e-6 * (high - low)
    lower = getattr(support, "lower_bound", -jnp.inf)
    upper = getattr(support, "upper_bound", jnp.inf)
    if low - slack <= lower and upper <= high + slack:
        return 0.0
    try:
        return float(1.0 - (hyperprior.cdf(high) - hyperprior.cdf(low)))
    except NotImplementedError:
        return None
