"""Chains in a batch, on devices of their own, and one after the other: the same draws."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS

import priorvae
from priorvae.bundles import Bundle
from tests.decoders.every_type import bundle_of

KEY = jax.random.key(4)
CHAINS, DRAWS = 2, 10


def by_spatial_effect(bundle: Bundle) -> jax.Array:
    return priorvae.numpyro.spatial_effect("f", bundle)


def by_hand(bundle: Bundle) -> jax.Array:
    """A model of one's own: another scale, and sites by other names."""
    z = numpyro.sample("z", dist.Normal(jnp.zeros(bundle.latent_dim), 1.0).to_event(1))
    theta = {c.name: numpyro.sample(c.name, c.numpyro()) for c in bundle.conditions}
    sd = numpyro.sample("sd", dist.Gamma(2.0, 4.0))
    return numpyro.deterministic("f", sd * bundle.decode(z, theta))


def sampled(effect: Callable[[Bundle], jax.Array], bundle: Bundle, method: str) -> np.ndarray:
    """Draws of f, `(chain, draw, area)`.

    Nothing is adapted: a step size from rounded numbers would drive trajectories apart.
    """
    counts = np.random.default_rng(5).poisson(20.0, bundle.size)

    def model() -> None:
        numpyro.sample("y", dist.Poisson(20.0 * jnp.exp(effect(bundle))), obs=jnp.asarray(counts))

    kernel = NUTS(model, step_size=0.2, adapt_step_size=False, adapt_mass_matrix=False)
    mcmc = MCMC(
        kernel, num_warmup=0, num_samples=DRAWS, num_chains=CHAINS, chain_method=method,
        progress_bar=False,
    )  # fmt: skip
    mcmc.run(KEY)
    return np.asarray(mcmc.get_samples(group_by_chain=True)["f"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "type_"), [(by_spatial_effect, "GatedLinear"), (by_hand, "PriorCVAE")]
)
def test_every_chain_method_draws_the_same(
    effect: Callable[[Bundle], jax.Array], type_: str
) -> None:
    """To what rounding leaves of trajectories that short; the chains themselves are far apart."""
    one = sampled(effect, bundle_of(type_), "sequential")
    assert one.shape == (CHAINS, DRAWS, 12)
    assert np.abs(one[0] - one[1]).max() > 0.1 and np.abs(np.diff(one, axis=1)).max() > 0.1
    for method in ("parallel", "vectorized"):
        other = sampled(effect, bundle_of(type_), method)
        np.testing.assert_allclose(other, one, atol=1e-8, err_msg=method)
