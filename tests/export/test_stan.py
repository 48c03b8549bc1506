"""A bundle in Stan: valid programs, and the density of the NumPyro model."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density

import priorvae
from priorvae.areas import read_areas
from priorvae.bundles import Bundle
from priorvae.decoders import Decoder
from priorvae.decoders.layers import Activation, ConcatCondition, Dense
from priorvae.export.stan import (
    FAMILIES,
    example,
    generator_data,
    regression_data,
    weights_data,
    write_stan,
)
from priorvae.inference import build_model, load_data
from priorvae.inference.design import RegressionData
from priorvae.processes import GP, Condition
from tests.samples import reference_bundle
from tests.stan import build, check_syntax

# httpstan's own warnings are not ours to heed.
pytestmark = pytest.mark.filterwarnings("ignore")

FORMULA = "SID79 ~ I(NWBIR79 / BIR79) + offset(log(BIR79))"


@pytest.fixture(scope="module")
def carolina(repository: Path) -> Bundle:
    return priorvae.load(repository / "artifacts" / "nc-sids-matern32-priorcvae")


@pytest.fixture(scope="module")
def data(carolina: Bundle) -> RegressionData:
    return load_data(carolina.area_ids, "builtin:sids2", formula=FORMULA, family="poisson")


def grid_bundle(source: str) -> Bundle:
    areas = read_areas(source)
    assert areas.extent is not None
    ends = (0.2 * areas.extent, areas.extent)
    lengthscale = Condition("lengthscale", "km", *ends, "log", "loguniform")
    return reference_bundle(GP(areas, "matern32", (lengthscale,), {}, 1e-6))


@pytest.mark.stan
@pytest.mark.parametrize("family", FAMILIES)
def test_examples_are_valid_stan(carolina: Bundle, family: str) -> None:
    check_syntax(example(carolina, family, arrays=True))


def test_examples_for_old_versions_differ_in_their_arrays_alone(carolina: Bundle) -> None:
    new, old = (example(carolina, "binomial", arrays=a).splitlines() for a in (True, False))
    changed = [(x, y) for x, y in zip(new, old, strict=True) if x != y]
    assert ("  array[N] int<lower=0> y;", "  int<lower=0> y[N];") in changed
    assert all(x.lstrip().startswith("array[") and "[" in y for x, y in changed)


def test_one_program_serves_every_bundle_of_a_structure(tmp_path: Path) -> None:
    one, other = grid_bundle("grid:3x4"), grid_bundle("grid:5x5")
    programs = []
    for number, bundle in enumerate((one, other)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = {file.name: file.read_text() for file in write_stan(bundle, folder)}
        assert json.loads(files.pop("weights.json"))["num_areas"] == bundle.size
        programs.append(files)
    assert programs[0] == programs[1]


def test_weights_are_the_same_numbers(carolina: Bundle, tmp_path: Path) -> None:
    write_stan(carolina, tmp_path)
    found = json.loads((tmp_path / "weights.json").read_text())
    for name, value in carolina.weights.items():
        written = np.array(found[name.replace(".", "_")], dtype=value.dtype)
        np.testing.assert_array_equal(written, value)


GENERATOR = """
functions {
  vector generator_stan(vector input, matrix W1, matrix W2, matrix W3,
                        vector B1, vector B2, vector B3) {
    vector[cols(W1)] one = tanh((input' * W1)' + B1);
    vector[cols(W2)] two = tanh((one' * W2)' + B2);
    return (two' * W3)' + B3;
  }
}
data {
  int p; int p1; int p2; int n;
  matrix[p, p1] W1; vector[p1] B1; matrix[p1, p2] W2; vector[p2] B2;
  matrix[p2, n] W3; vector[n] B3;
}
parameters { vector[p] input; }
transformed parameters { vector[n] f = generator_stan(input, W1, W2, W3, B1, B2, B3); }
model { input ~ normal(0, 1); }
"""
"""The interface of the program that PriorVAE was published with, in words of our own."""


@pytest.mark.stan
@pytest.mark.slow
def test_a_perceptron_runs_in_the_published_program() -> None:
    bundle = perceptron("tanh")
    data = generator_data(bundle)
    assert data is not None and (data["p"], data["n"]) == (bundle.latent_dim + 1, bundle.size)
    model = build(GENERATOR, data)
    rng = np.random.default_rng(3)
    for _ in range(5):
        z, unit = rng.normal(size=bundle.latent_dim), rng.uniform(-1, 1)
        hyper = {"lengthscale": float(bundle.conditions[0].from_unit(unit))}
        written = np.array(model.constrain_pars([*z, unit]))[-bundle.size :]
        np.testing.assert_allclose(written, bundle.decode_numpy(z, hyper), rtol=1e-10, atol=1e-12)


def test_the_published_program_takes_perceptrons_of_tanh_alone(
    carolina: Bundle, tmp_path: Path
) -> None:
    assert generator_data(carolina) is None
    assert generator_data(perceptron("relu")) is None
    names = {file.name for file in write_stan(perceptron("tanh"), tmp_path)}
    assert "generator.json" in names


def perceptron(activation: str) -> Bundle:
    """A PriorCVAE's perceptron with two hidden layers, its weights drawn."""
    known = grid_bundle("grid:3x4")
    hidden = (Dense(7), Activation(activation), Dense(5), Activation(activation))
    layers = (ConcatCondition(), *hidden, Dense(known.size))
    decoder = Decoder(4, known.size, known.conditions, layers)
    rng = np.random.default_rng(1)
    weights = {k: rng.normal(size=s).astype(np.float32) for k, s in decoder.shapes().items()}
    changed = {"decoder": decoder.records(), "latent_dim": 4}
    return Bundle(known.info.model_copy(update=changed), known.areas, weights)


@pytest.mark.stan
@pytest.mark.slow
def test_density_and_gradient_are_those_of_the_numpyro_model(
    carolina: Bundle, data: RegressionData
) -> None:
    """At five points; the two differ by a constant, and by parametrising the slopes."""
    stan_model = build(
        example(carolina, "poisson", arrays=True), weights_data(carolina) | regression_data(data)
    )
    model = build_model(data, carolina)
    rng = np.random.default_rng(2)
    sd = data.design.std(axis=0, ddof=1)
    low, high = carolina.conditions[0].low, carolina.conditions[0].high
    ours, theirs = [], []
    for _ in range(5):
        b, scale, z = rng.normal(size=1), rng.uniform(0.1, 1), rng.normal(size=carolina.latent_dim)
        centre, share = rng.normal(-6, 0.3), rng.uniform(0.1, 0.9)
        values = {
            "centre": jnp.asarray(centre), "slopes": jnp.asarray(b), "f_scale": jnp.asarray(scale),
            "f_z": jnp.asarray(z), "f_lengthscale": jnp.asarray(low + share * (high - low)),
        }  # fmt: skip
        ours.append(_log_density(model, values))
        # Stan's unconstrained space: log of the scale, logit of the share of the range.
        point = [centre, *(b / sd), np.log(scale), *z, np.log(share / (1 - share))]
        jacobian = np.log(scale) + np.log((high - low) * share * (1 - share))
        theirs.append(stan_model.log_prob(point) - jacobian)
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), atol=1e-9 * np.abs(ours).max())


def _log_density(model: Any, values: dict[str, jax.Array]) -> float:
    return float(log_density(model, (), {}, values)[0])
