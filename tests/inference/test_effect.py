from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive
from scipy import stats

import priorvae
from priorvae.areas import Areas
from priorvae.bundles import Bundle
from priorvae.errors import ConditionError, ProcessError
from priorvae.inference import ExactPrior, SpatialPrior, spatial_effect
from priorvae.processes import GP, ProperCAR

KEY = jax.random.key(1)
DRAWS = 4000


def draws_of(model: Callable[[], object], num: int = DRAWS) -> dict[str, np.ndarray]:
    samples = Predictive(model, num_samples=num)(KEY)
    return {name: np.asarray(values) for name, values in samples.items()}


def worst_z(fields: np.ndarray, covariance: np.ndarray) -> float:
    """Largest error of the empirical covariance in its standard errors under the truth."""
    error = fields.T @ fields / len(fields) - covariance
    variances = np.diag(covariance)
    sd = np.sqrt((covariance**2 + np.outer(variances, variances)) / len(fields))
    return float(np.abs(error / sd).max())


@pytest.fixture(scope="module", params=["exact", "car", "bundle"])
def case(
    request: pytest.FixtureRequest, exact: ExactPrior, car: ProperCAR, bundle: Bundle, process: GP
) -> tuple[SpatialPrior, np.ndarray, dict[str, float]]:
    if request.param == "car":
        hyper = {"alpha": 0.9}
        return ExactPrior(car), car.covariance(hyper), hyper
    hyper = {"lengthscale": process.conditions[0].low * 2}
    return (exact if request.param == "exact" else bundle), process.covariance(hyper), hyper


def test_priors_satisfy_the_protocol(exact: ExactPrior, bundle: Bundle) -> None:
    assert isinstance(exact, SpatialPrior)
    assert isinstance(bundle, SpatialPrior)


def test_the_prior_covariance_is_scale_squared_times_the_process(
    case: tuple[SpatialPrior, np.ndarray, dict[str, float]],
) -> None:
    prior, covariance, hyper = case
    fields = draws_of(lambda: spatial_effect("f", prior, scale=1.5, conditions=hyper))["f"]
    # The largest of 210 normals exceeds 4.5 with probability .0014.
    assert worst_z(fields, 1.5**2 * covariance) < 4.5


def test_sites_and_their_distributions(exact: ExactPrior) -> None:
    draws = draws_of(lambda: spatial_effect("f", exact))
    assert set(draws) == {"f", "f_z", "f_scale", "f_lengthscale"}
    assert draws["f"].shape == (DRAWS, 20)
    condition = exact.conditions[0]
    assert stats.kstest(draws["f_scale"], stats.halfnorm.cdf).pvalue > 0.001
    uniform = stats.loguniform(condition.low, condition.high)
    assert stats.kstest(draws["f_lengthscale"], uniform.cdf).pvalue > 0.001


def test_an_index_maps_areas_to_observations(exact: ExactPrior) -> None:
    def model() -> None:
        numpyro.deterministic("at", spatial_effect("f", exact, index=[3, 3, 0]))

    draws = draws_of(model, 5)
    np.testing.assert_array_equal(draws["at"], draws["f"][:, [3, 3, 0]])


def test_a_number_fixes_a_condition(exact: ExactPrior) -> None:
    value = exact.conditions[0].low * 1.5
    draws = draws_of(lambda: spatial_effect("f", exact, conditions={"lengthscale": value}), 3)
    np.testing.assert_array_equal(draws["f_lengthscale"], [value] * 3)


def test_the_effect_is_differentiable_and_compiles_once(exact: ExactPrior) -> None:
    traces = []

    def log_density(scale: jax.Array) -> jax.Array:
        traces.append(1)
        values = {
            "f_z": jnp.ones(20),
            "f_scale": scale,
            "f_lengthscale": jnp.asarray(exact.conditions[0].low * 2),
        }
        model = lambda: spatial_effect(  # noqa: E731
            "f", exact, conditions={"lengthscale": exact.conditions[0].numpyro()}
        )
        return numpyro.infer.util.log_density(model, (), {}, values)[0]

    gradient = jax.jit(jax.grad(log_density))
    np.testing.assert_allclose(gradient(1.3), -1.3, rtol=1e-12)
    gradient(1.4)
    assert len(traces) == 1


def outside(exact: ExactPrior) -> dict[str, tuple[object, str]]:
    condition = exact.conditions[0]
    low, high = condition.low, condition.high
    normal = stats.norm(low, low)
    share = 1 - (normal.cdf(high) - normal.cdf(low))
    return {
        "cdf": (dist.Normal(low, low), f"puts {100 * share:.3g}% of its mass outside"),
        "log": (dist.LogNormal(np.log(low), 1.0), "of its mass outside the trained range"),
        "low": (dist.Uniform(0.9 * low, high), "of its mass outside"),
        "no cdf": (dist.ImproperUniform(
            dist.constraints.positive, (), ()), "puts mass outside"),
        "value": (2 * high, "outside the trained range"),
    }  # fmt: skip


@pytest.mark.parametrize("which", ["cdf", "log", "low", "no cdf", "value"])
def test_a_hyperprior_outside_the_trained_range_is_refused(exact: ExactPrior, which: str) -> None:
    hyperprior, words = outside(exact)[which]
    with pytest.raises(ConditionError) as caught:
        draws_of(lambda: spatial_effect("f", exact, conditions={"lengthscale": hyperprior}), 1)
    assert words in str(caught.value)
    assert f"{exact.conditions[0].high:.6g}"[:4] in str(caught.value)


def test_a_hyperprior_inside_the_trained_range_is_used(exact: ExactPrior) -> None:
    low, high = exact.conditions[0].low, exact.conditions[0].high
    truncated = dist.TruncatedNormal(low, low, low=low, high=high)
    for hyperprior in (truncated, dist.Normal((low + high) / 2, 1e-3)):
        draws = draws_of(
            lambda given=hyperprior: spatial_effect("f", exact, conditions={"lengthscale": given}),
            50,
        )
        assert ((draws["f_lengthscale"] >= low) & (draws["f_lengthscale"] <= high)).all()


def test_an_unknown_condition_is_refused_with_the_nearest(exact: ExactPrior) -> None:
    with pytest.raises(ConditionError, match="did you mean 'lengthscale'"):
        draws_of(lambda: spatial_effect("f", exact, conditions={"lengthscales": 1.0}), 1)


def test_the_numpyro_leaf_is_the_same_function() -> None:
    assert priorvae.numpyro.spatial_effect is spatial_effect


def test_exact_inference_refuses_float32(process: GP) -> None:
    with jax.enable_x64(False), pytest.raises(ProcessError, match="enable_x64"):
        ExactPrior(process)


def test_the_exact_prior_is_in_the_order_of_the_areas(exact: ExactPrior, grid: Areas) -> None:
    assert exact.area_ids == grid.ids
    assert exact.latent_dim == len(grid)
