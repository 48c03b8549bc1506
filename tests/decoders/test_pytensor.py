"""PyTensor computes what NumPy computes and differentiates as JAX does, for every layer kind."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pymc")  # before PyTensor, whose configuration it completes

import pytensor
import pytensor.tensor as pt

from priorvae.bundles import golden_cases
from priorvae.decoders import Decoder, jax_backend, numpy_backend, pytensor_backend
from priorvae.errors import ConditionError
from tests.decoders.every_type import TYPES, bundle_of
from tests.decoders.test_decoders import AREAS, LATENT, STACKS, middle, random_weights

CASES = 8


def compiled(decoder: Decoder, weights: dict[str, np.ndarray]) -> Any:
    """Return a function of z and hyperparameters that gives f and a sum's gradients in all."""
    z = pt.vector("z")
    hyper = {c.name: pt.scalar(c.name) for c in decoder.conditions}
    f = pytensor_backend.decode(decoder, weights, z, hyper)
    inputs = [z, *hyper.values()]
    slopes = pt.grad(pt.sum(f * np.arange(1.0, AREAS + 1)), inputs)
    return pytensor.function(inputs, [f, *slopes], mode="FAST_COMPILE")


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_values_and_gradients(stack: str) -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS[stack])
    weights, rng = random_weights(decoder), np.random.default_rng(1)
    run = compiled(decoder, weights)

    def total(z: jax.Array, hyper: dict[str, Any]) -> jax.Array:
        f = jax_backend.decode(decoder, weights, z, hyper)
        return jnp.sum(f * jnp.arange(1.0, AREAS + 1))

    gradient = jax.jit(jax.grad(total, argnums=(0, 1)))
    for _ in range(CASES):
        z = rng.normal(size=LATENT)
        hyper = {c.name: float(c.from_unit(rng.uniform(-1, 1))) for c in decoder.conditions}
        f, *slopes = run(z, *hyper.values())
        exact = numpy_backend.decode(decoder, weights, z, hyper)
        assert np.abs(f - exact).max() <= 1e-10 * np.abs(exact).max()
        in_z, in_hyper = gradient(z, {name: jnp.asarray(v) for name, v in hyper.items()})
        for ours, theirs in zip(slopes, [in_z, *(in_hyper[n] for n in hyper)], strict=True):
            assert np.abs(ours - theirs).max() <= 1e-7 * max(np.abs(theirs).max(), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_type_on_its_golden_cases(type_: str) -> None:
    bundle = bundle_of(type_)
    z = pt.vector("z")
    hyper = {c.name: pt.scalar(c.name) for c in bundle.conditions}
    f = pytensor_backend.decode(bundle.decoder, bundle.weights, z, hyper)
    run = pytensor.function([z, *hyper.values()], f, mode="FAST_COMPILE")
    for latents, theta, expected in zip(*golden_cases(bundle), strict=True):
        assert np.abs(run(latents, *theta) - expected).max() <= 1e-10 * np.abs(expected).max()


def test_numbers_are_checked_and_symbols_are_not() -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS["gated"])
    weights = random_weights(decoder)
    z = pt.vector("z")
    given = numpy_backend.decode(decoder, weights, np.ones(LATENT), middle(decoder))
    fixed = pytensor_backend.decode(decoder, weights, z, middle(decoder))
    np.testing.assert_allclose(fixed.eval({z: np.ones(LATENT)}, mode="FAST_COMPILE"), given)
    with pytest.raises(ConditionError, match="outside the trained range"):
        pytensor_backend.decode(decoder, weights, z, {"lengthscale": 1e4})
    with pytest.raises(ConditionError, match="missing hyperparameter"):
        pytensor_backend.decode(decoder, weights, z, {})
