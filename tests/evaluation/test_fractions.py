"""The fraction of importance weights of a decoder that is known only by its Jacobian."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from priorvae.bundles import Bundle
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import GP
from tests.samples import reference_bundle


class Hidden:
    """A linear bundle that does not say so."""

    is_linear = False

    def __init__(self, bundle: Bundle) -> None:
        self.sites, self.conditions, self.latent_dim = (
            bundle.sites, bundle.conditions, bundle.latent_dim,
        )  # fmt: skip
        self.decode, self.sample, self.matrix = bundle.decode, bundle.sample, bundle.matrix


@pytest.mark.parametrize("factor", [1.0, 0.95])
def test_fractions_from_draws_are_those_of_the_covariances(process: GP, factor: float) -> None:
    exact = reference_bundle(process)
    weights = {k: v * (factor if "kernel" in k else 1) for k, v in exact.weights.items()}
    hidden = Hidden(replace(exact, weights=weights))
    found = evaluate_prior(
        jax.random.key(1), hidden, process, num_conditions=2, num_draws=100, num_moment_draws=100
    )
    # Every direction is wider or narrower by the same factor: (sqrt(2 v - 1) / v)^36.
    v = factor**2
    expected = (np.sqrt(2 * v - 1) / v) ** process.size
    fractions = np.array([point.importance_fraction for point in found.points])
    # Simulated, the fraction of 100 draws has a standard error of .048 at a factor of .95.
    error = 4 * 0.048 if factor < 1 else 1e-4
    np.testing.assert_allclose(fractions, expected, atol=error)
