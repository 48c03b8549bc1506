"""A PyMC model with a bundle is NumPyro's with it: densities, gradients, draws, refusals."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import potential_energy

pytest.importorskip("pymc")

import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.mode import get_mode
from scipy import stats

import priorvae
from priorvae.areas import read_areas
from priorvae.bundles import Bundle
from priorvae.errors import ConditionError
from priorvae.processes import GP
from priorvae.processes.conditions import Condition
from tests.decoders.every_type import TYPES, bundle_of
from tests.samples import reference_bundle

POINTS = 5
# Python in place of compiled code; its additions take 32 terms at most, so they stay apart.
MODE = get_mode("FAST_COMPILE").excluding("local_add_canonizer")
FAMILIES = {
    "uniform": {},
    "loguniform": {},
    "normal": {"loc": 40.0, "scale": 30.0},
    "lognormal": {"loc": 3.5, "scale": 0.7},
    "beta": {"a": 2.0, "b": 3.0},
}


def condition_of(family: str) -> Condition:
    return Condition("lengthscale", "km", 10.0, 90.0, "log", family, FAMILIES[family])


def bundle_with(family: str) -> Bundle:
    return reference_bundle(
        GP(read_areas("grid:3x4"), "matern32", (condition_of(family),), {}, 1e-6)
    )


def fixed(bundle: Bundle) -> dict[str, str]:
    return {c.name: c.labels[1] for c in bundle.conditions if c.labels}


class Counts:
    """Poisson counts with a spatial effect, in either language."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.num = bundle, bundle.size
        rng = np.random.default_rng(5)
        self.births = rng.uniform(50.0, 400.0, self.num)
        self.deaths = rng.poisson(0.1 * self.births)

    def numpyro(self) -> None:
        b0 = numpyro.sample("b0", dist.Normal(-2.0, 1.0))
        f = priorvae.numpyro.spatial_effect("f", self.bundle, conditions=fixed(self.bundle))
        rate = self.births * jnp.exp(b0 + f)
        numpyro.sample("y", dist.Poisson(rate), obs=jnp.asarray(self.deaths))

    def pymc(self) -> pm.Model:
        with pm.Model() as model:
            b0 = pm.Normal("b0", -2.0, 1.0)
            f = priorvae.pymc.spatial_effect("f", self.bundle, conditions=fixed(self.bundle))
            pm.Poisson("y", self.births * pt.exp(b0 + f), observed=self.deaths)
        return model


def both(counts: Counts) -> tuple[Callable[..., Any], Callable[..., Any], list[str]]:
    """Log densities with gradients over the same unconstrained values; and PyMC's names of them."""
    model = counts.pymc()
    pymc = model.compile_fn(
        [model.logp(), *pt.grad(model.logp(), model.continuous_value_vars)], mode=MODE
    )
    names = [v.name for v in model.continuous_value_vars]

    def density(values: dict[str, jax.Array]) -> jax.Array:
        return -potential_energy(counts.numpyro, (), {}, values)

    return pymc, jax.jit(jax.value_and_grad(density)), names


def agree(counts: Counts) -> None:
    """Hold log densities with Jacobians, so no constant is free, and gradients to one another."""
    pymc, numpyro_, names = both(counts)
    rng = np.random.default_rng(6)
    sizes = {"f_z": (counts.bundle.latent_dim,)}
    for _ in range(POINTS):
        values = {name: 0.5 * rng.normal(size=sizes.get(name, ())) for name in names}
        density, *slopes = pymc(values)
        sites = {name: name.removesuffix("_log__").removesuffix("_interval__") for name in names}
        expected, gradient = numpyro_({sites[n]: jnp.asarray(v) for n, v in values.items()})
        assert abs(density - expected) <= 1e-9 * max(1.0, abs(expected))
        flat = np.concatenate([np.ravel(slope) for slope in slopes])
        theirs = np.concatenate([np.ravel(gradient[sites[name]]) for name in names])
        assert np.abs(flat - theirs).max() <= 1e-7 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_type_has_the_density_and_gradient_of_numpyro(type_: str) -> None:
    agree(Counts(bundle_of(type_)))


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_hyperprior_leaves_the_density_that_of_numpyro(family: str) -> None:
    agree(Counts(bundle_with(family)))


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_hyperprior_is_that_of_numpyro(family: str) -> None:
    """On the unconstrained scale, where the two share the transformation and its Jacobian."""
    condition = condition_of(family)
    theirs = condition.numpyro()
    constrain = dist.biject_to(theirs.support)
    with pm.Model() as model:
        priorvae.pymc.spatial_effect("f", bundle_with(family), scale=1.0)
    density = model.compile_logp(vars=model["f_lengthscale"], mode=MODE)
    points = np.random.default_rng(7).normal(size=POINTS)
    values = constrain(points)
    expected = theirs.log_prob(values) + constrain.log_abs_det_jacobian(points, values)
    found = np.array(
        [density({"f_z": np.zeros(12), "f_lengthscale_interval__": x}) for x in points]
    )
    assert np.abs(found - np.asarray(expected)).max() <= 1e-9
    draws = pm.draw(model["f_lengthscale"], 1000, random_seed=1, mode=MODE)
    assert stats.kstest(draws, condition.cdf).pvalue > 0.001


def test_variables_and_their_dimensions() -> None:
    bundle = bundle_with("uniform")
    with pm.Model() as model:
        f = priorvae.pymc.spatial_effect("f", bundle, index=[3, 3, 0])
        other = priorvae.pymc.spatial_effect("g", bundle_of("PriorVAE"))
    assert {v.name for v in model.free_RVs} >= {"f_z", "f_lengthscale", "f_scale", "g_z", "g_scale"}
    assert {v.name for v in model.deterministics} == {"f", "g"}
    assert model.named_vars_to_dims["f"] == ("f_area",)
    assert tuple(model.coords["f_area"]) == bundle.area_ids
    assert other.type.shape == (12,)
    at, whole = pm.draw([f, model["f"]], random_seed=1, mode=MODE)
    np.testing.assert_array_equal(at, whole[[3, 3, 0]])


def test_draws_of_the_prior_have_the_covariance_of_the_process() -> None:
    bundle = bundle_with("uniform")
    num, value = 4000, 30.0
    with pm.Model() as model:
        priorvae.pymc.spatial_effect("f", bundle, scale=1.5, conditions={"lengthscale": value})
    fields = pm.draw(model["f"], num, random_seed=2, mode=MODE)
    covariance = 1.5**2 * bundle.process().covariance({"lengthscale": value})  # type: ignore[attr-defined]
    error = fields.T @ fields / num - covariance
    variances = np.diag(covariance)
    sd = np.sqrt((covariance**2 + np.outer(variances, variances)) / num)
    # The largest of 78 normals exceeds 4.5 with probability .0005.
    assert np.abs(error / sd).max() < 4.5


def test_priors_of_the_scale_and_hyperpriors_may_be_given() -> None:
    with pm.Model() as model:
        shared = pm.Exponential("shared", 1.0)
        inside = pm.TruncatedNormal.dist(30.0, 20.0, lower=10.0, upper=90.0)
        priorvae.pymc.spatial_effect(
            "f", bundle_with("uniform"), scale=shared, conditions={"lengthscale": inside}
        )
    assert {v.name for v in model.free_RVs} == {"shared", "f_z", "f_lengthscale"}
    value, same = pm.draw([shared, model["f_scale"]], random_seed=1, mode=MODE)
    assert value == same


def test_random_parameters_of_a_hyperprior_are_its_users_concern() -> None:
    with pm.Model() as model:
        upper = pm.Uniform("upper", 20.0, 90.0)
        given = pm.Uniform.dist(10.0, upper)
        priorvae.pymc.spatial_effect("f", bundle_with("uniform"), conditions={"lengthscale": given})
    assert model["f_lengthscale"] in model.free_RVs


def hyperpriors() -> dict[str, tuple[Any, str]]:
    normal = stats.norm(10.0, 10.0)
    share = 1 - (normal.cdf(90.0) - normal.cdf(10.0))
    return {
        "cdf": (
            pm.Normal.dist(10.0, 10.0),
            f"f_lengthscale: the hyperprior Normal puts {100 * share:.3g}% of its mass outside the "
            r"trained range \[10, 90\] km",
        ),
        "low": (pm.Uniform.dist(9.0, 90.0), r"puts 1.23% .* such as pm.Uniform.dist\(10, 90\)"),
        "no cdf": (pm.VonMises.dist(0.0, 1.0), "puts mass outside"),
        "value": (180.0, "lengthscale: 180 is outside the trained range"),
    }


@pytest.mark.parametrize("which", sorted(hyperpriors()))
def test_a_hyperprior_outside_the_trained_range_is_refused(which: str) -> None:
    given, words = hyperpriors()[which]
    with pm.Model(), pytest.raises(ConditionError, match=words):
        priorvae.pymc.spatial_effect("f", bundle_with("uniform"), conditions={"lengthscale": given})


def test_an_unknown_condition_is_refused_with_the_nearest() -> None:
    with pm.Model(), pytest.raises(ConditionError, match=r"f: .*did you mean 'lengthscale'"):
        priorvae.pymc.spatial_effect("f", bundle_with("uniform"), conditions={"lengthscales": 1.0})


def test_a_category_must_be_fixed() -> None:
    bundle = bundle_of("PriorCVAE of several kernels")
    for given in ({}, {"kernel": pm.DiscreteUniform.dist(0, 2)}):
        with pm.Model(), pytest.raises(ConditionError, match="f_kernel: NUTS samples continuous"):
            priorvae.pymc.spatial_effect("f", bundle, conditions=given)
    with pm.Model(), pytest.raises(ConditionError, match="expected one of rbf, matern12, matern32"):
        priorvae.pymc.spatial_effect("f", bundle, conditions={"kernel": "matern"})


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment
    )


def test_without_pymc_the_error_names_the_command() -> None:
    code = """
import sys
sys.modules["pymc"] = None
import priorvae
try:
    priorvae.pymc
except priorvae.PriorVAEError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    shown = run_python(code)
    assert "pip install 'priorvae[pymc]'" in shown.stdout, shown.stderr


@pytest.mark.slow
def test_pymc_comes_without_jax() -> None:
    """Sampling in several processes forks, which JAX warns of once it is imported."""
    shown = run_python("import priorvae.pymc, sys; print('jax' in sys.modules)")
    assert shown.stdout.split() == ["False"], shown.stderr
