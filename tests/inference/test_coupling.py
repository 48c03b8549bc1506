"""A process in the latents of a decoder, against posteriors known in closed form."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from priorvae.areas import read_areas
from priorvae.inference.correction import shift
from priorvae.inference.coupling import couple, obstacle
from priorvae.inference.importance import smooth
from priorvae.processes import GP, ICAR, Condition
from tests.samples import reference_bundle

Matrix = Callable[[Mapping[str, float]], np.ndarray]
NOISE = 0.3
ROOT = 1e-4
"""Of the sampler's interpolated root, applied in float32."""


class Decoder:
    """`f = A(theta) bend(z)`, linear where nothing bends."""

    def __init__(
        self,
        conditions: tuple[Condition, ...],
        matrix: Matrix,
        bend: Callable[[jax.Array], jax.Array] | None = None,
    ) -> None:
        self.conditions = conditions
        self.is_linear = bend is None
        self.latent_dim = matrix({c.name: c.low for c in conditions}).shape[1]
        self.matrix = matrix
        self._bend = bend

    def decode(self, z: jax.Array, hyper: Mapping[str, jax.Array]) -> jax.Array:
        assert self._bend is not None
        return jnp.asarray(self.matrix({})) @ self._bend(z)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def fixed(process: GP) -> GP:
    """The process at one lengthscale, without conditions."""
    middle = {"lengthscale": float(process.conditions[0].from_unit(0.0))}
    return GP(process.areas, process.kernel, (), middle, 1e-4)


def rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.asarray(stats.ortho_group.rvs(size, random_state=rng))


def test_coupled_fields_have_the_covariance_of_the_process(
    process: GP, rng: np.random.Generator
) -> None:
    n = process.size
    rough = Decoder(process.conditions, lambda h: rng.standard_normal((n, n + 3)))
    lengths = process.conditions[0].grid(5)
    coupling = couple(rough, process, {"lengthscale": lengths})
    for length in lengths:
        columns = {"lengthscale": np.full(n + 3, length)}
        matrix = coupling.fields(np.eye(n + 3), columns).T
        expected = process.covariance({"lengthscale": float(length)})
        np.testing.assert_allclose(matrix @ matrix.T, expected, atol=2 * ROOT)


def test_a_rotated_decoder_is_met_field_by_field(process: GP, rng: np.random.Generator) -> None:
    n = process.size
    turned = rotation(rng, n)
    decoder = Decoder(process.conditions, lambda h: process.root(h) @ turned)
    z = rng.standard_normal((9, n))
    lengths = process.conditions[0].grid(9)
    found = couple(decoder, process, {"lengthscale": lengths})
    fields = found.fields(z, {"lengthscale": lengths})
    expected = [decoder.matrix({"lengthscale": x}) @ row for x, row in zip(lengths, z, strict=True)]
    np.testing.assert_allclose(fields, expected, atol=10 * ROOT)


def test_a_decoder_that_turns_with_theta_is_met_field_by_field(
    process: GP, rng: np.random.Generator
) -> None:
    """A Cholesky factor's columns are other ones at every lengthscale, the sampler's are not."""
    n = process.size
    decoder = Decoder(process.conditions, lambda h: np.linalg.cholesky(process.covariance(h)))
    z = rng.standard_normal((40, n))
    lengths = process.conditions[0].grid(40)
    found = couple(decoder, process, {"lengthscale": lengths})
    assert len(found.rotations) == 40
    fields = found.fields(z, {"lengthscale": lengths})
    expected = [decoder.matrix({"lengthscale": x}) @ row for x, row in zip(lengths, z, strict=True)]
    np.testing.assert_allclose(fields, expected, atol=10 * ROOT)


def test_no_other_rotation_is_closer(fixed: GP, rng: np.random.Generator) -> None:
    n = fixed.size
    root = fixed.root({})
    a = root + 0.1 * rng.standard_normal((n, n))
    found = couple(Decoder((), lambda h: a), fixed, {})
    best = np.linalg.norm(root @ found.rotations[0] - a)
    for _ in range(20):
        skew = 0.05 * rng.standard_normal((n, n))
        other = found.rotations[0] @ np.linalg.qr(np.eye(n) + skew - skew.T)[0]
        assert np.linalg.norm(root @ other - a) > best


def test_a_decoder_of_few_latents_is_given_more(fixed: GP, rng: np.random.Generator) -> None:
    values, vectors = np.linalg.eigh(fixed.covariance({}))
    few = vectors[:, -6:] * np.sqrt(values[-6:])
    coupling = couple(Decoder((), lambda h: few), fixed, {})
    n = fixed.size
    assert coupling.latent_dim == n
    matrix = coupling.fields(np.eye(n), {}).T
    np.testing.assert_allclose(matrix @ matrix.T, fixed.covariance({}), atol=2 * ROOT)
    # What the decoder has of the process, it shares with it.
    np.testing.assert_allclose(matrix[:, :6], few, atol=10 * ROOT)


def test_a_bent_decoder_is_met_along_its_slope(fixed: GP, rng: np.random.Generator) -> None:
    n = fixed.size
    matrix = fixed.root({}) @ rotation(rng, n)
    bent = Decoder((), lambda h: matrix, lambda z: 0.9 * z + 0.1 * jnp.sinh(z))
    z = rng.standard_normal((40, n))
    found = couple(bent, fixed, {})
    # The bend is the same for every latent, and odd: its mean Jacobian is near a multiple of R.
    fields = found.fields(z, {})
    decoded = (0.9 * z + 0.1 * np.sinh(z)) @ matrix.T
    assert np.linalg.norm(fields - decoded) < 0.15 * np.linalg.norm(decoded)


@pytest.mark.parametrize("bend", [False, True], ids=["linear", "bent"])
def test_a_conjugate_posterior_is_corrected_to_the_exact_one(
    fixed: GP, rng: np.random.Generator, bend: bool
) -> None:
    """`y = f + e`: the exact posterior is Gaussian, so that its moments are known."""
    n = fixed.size
    k, root = fixed.covariance({}), fixed.root({})
    a = root + (0.02 if bend else 0.03) * rng.standard_normal((n, n))
    y = np.linalg.cholesky(k) @ rng.standard_normal(n) + NOISE * rng.standard_normal(n)
    latents = _posterior_latents(rng, a, y, 40_000)
    # A bent decoder's posterior is drawn by weights of its own, taken from the linear one's.
    curve = 0.01 if bend else 0.0
    decoder = Decoder((), lambda h: a, (lambda z: z + curve * jnp.sinh(z)) if bend else None)
    decoded = (latents + curve * np.sinh(latents)) @ a.T
    if bend:
        logs = _log_likelihood(y, decoded) - _log_likelihood(y, latents @ a.T)
        own = smooth(logs)
        assert own.reliable
        taken = rng.choice(len(latents), len(latents), p=np.exp(own.log_weights))
        latents, decoded = latents[taken], decoded[taken]
    fields = couple(decoder, fixed, {}).fields(latents, {})
    found = smooth(_log_likelihood(y, fields) - _log_likelihood(y, decoded))
    assert found.reliable
    assert 0.1 < found.fraction < 0.99
    gain = k @ np.linalg.inv(k + NOISE**2 * np.eye(n))
    mean, covariance = gain @ y, k - gain @ k
    weights = np.exp(found.log_weights)
    # Draws taken twice are not independent: twice the variance, and more, is allowed for them.
    spread = 2.0 if bend else 1.0
    for values, expected in [(fields, mean), ((fields - mean) ** 2, np.diag(covariance))]:
        error = spread * np.sqrt(weights**2 @ (values - expected) ** 2)
        # The largest of 20 areas in 2 moments; 4.5 standard errors.
        assert np.max(np.abs(weights @ values - expected) / error) < 4.5
    uncorrected = np.abs(decoded.mean(0) - mean) / (decoded.std(0) / np.sqrt(len(decoded)))
    assert uncorrected.max() > 8
    worst = int(uncorrected.argmax())
    sides = (decoded[:, worst], fields[:, worst], found.log_weights)
    moved = shift(*(side.reshape(4, -1) for side in sides))
    expected = (decoded[:, worst].mean() - mean[worst]) / np.sqrt(covariance[worst, worst])
    assert abs(moved.value - expected) < 4 * spread * moved.error


def _log_likelihood(y: np.ndarray, fields: np.ndarray) -> np.ndarray:
    return np.asarray(stats.norm.logpdf(y, fields, NOISE).sum(axis=1))


def _posterior_latents(
    rng: np.random.Generator, matrix: np.ndarray, y: np.ndarray, num: int
) -> np.ndarray:
    """Draw z given `y = A z + e`: precision `I + A' A / s^2`."""
    precision = np.eye(len(y)) + matrix.T @ matrix / NOISE**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ matrix.T @ y / NOISE**2
    return mean + rng.standard_normal((num, len(y))) @ np.linalg.cholesky(covariance).T


def test_a_singular_process_is_coupled_too(rng: np.random.Generator) -> None:
    icar = ICAR(read_areas("grid:3x3"), (), {})
    root = icar.root({})
    z = rng.standard_normal((50, root.shape[1]))
    found = couple(Decoder((), lambda h: 1.1 * root), icar, {}).fields(z, {})
    np.testing.assert_allclose(found, z @ root.T, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-5)


def test_what_cannot_be_corrected_says_why(process: GP) -> None:
    mixture = Decoder((), lambda h: np.eye(process.size))
    assert "integrates lengthscale out" in str(obstacle(mixture, process))
    assert obstacle(reference_bundle(process), process) is None
