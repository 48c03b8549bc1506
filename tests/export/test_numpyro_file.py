"""The vendored file decodes and samples as the bundle does, where priorvae cannot be imported."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive
from numpyro.infer.util import log_density

import priorvae
from priorvae.bundles import Bundle, golden_cases
from priorvae.decoders import Decoder, numpy_backend
from priorvae.decoders.source_backend import statements
from priorvae.export.numpyro import write_numpyro
from priorvae.processes.conditions import Condition
from tests.decoders.every_type import TYPES, bundle_of
from tests.decoders.test_decoders import AREAS, LATENT, STACKS, middle, random_weights

KEY = jax.random.key(0)


def load(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def vendored(bundle: Bundle, out: Path) -> ModuleType:
    [path] = write_numpyro(bundle, out)
    return load(path)


def changed(bundle: Bundle, **changes: Any) -> Bundle:
    info = bundle.info.model_copy(update=changes)
    return Bundle(info, bundle.areas, bundle.weights, arrays=bundle.arrays)


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_every_layer_kind(stack: str) -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS[stack])
    weights, hyper = random_weights(decoder), middle(decoder)
    x = np.random.default_rng(1).normal(size=LATENT)
    exact = numpy_backend.decode(decoder, weights, x, hyper)
    helpers = load_helpers()
    scope = {
        "jnp": jnp, "x": jnp.asarray(x), "u": jnp.full(len(decoder.conditions), 0.3),
        "w": {name: jnp.asarray(value) for name, value in weights.items()}, **helpers,
    }  # fmt: skip
    exec("\n".join(statements(decoder)), scope)
    assert np.abs(scope["x"] - exact).max() <= 1e-12 * np.abs(exact).max()


def load_helpers() -> dict[str, Any]:
    """Return the two functions that the statements call, from files that hold them."""
    return {name: getattr(FILES[which], name) for which, name in HELPERS.items()}


HELPERS = {"GatedLinear": "_series", "DeepRV, gMLP": "_standardised"}
FILES: dict[str, ModuleType] = {}


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    for number, name in enumerate(HELPERS):
        FILES[name] = vendored(bundle_of(name), tmp_path_factory.mktemp(f"file{number}"))


@pytest.mark.slow
@pytest.mark.parametrize("type_", sorted(TYPES))
def test_every_type_on_its_golden_cases(type_: str, tmp_path: Path) -> None:
    bundle = bundle_of(type_)
    module = vendored(bundle, tmp_path)
    module.check()
    assert bundle.area_ids == module.AREA_IDS and bundle.latent_dim == module.LATENT_DIM
    names = [c.name for c in bundle.conditions]
    for z, theta, _ in zip(*golden_cases(bundle), strict=True):
        hyper = dict(zip(names, theta.tolist(), strict=True))
        expected = bundle.decode(jnp.asarray(z), hyper)
        found = module.decode(jnp.asarray(z), hyper)
        assert jnp.abs(found - expected).max() <= 1e-12 * jnp.abs(expected).max()


def test_jit_vmap_and_grad(tmp_path: Path) -> None:
    bundle = bundle_of("PriorCVAE")
    module = vendored(bundle, tmp_path)
    z = jax.random.normal(KEY, (3, bundle.latent_dim))
    value = bundle.conditions[0].low * 2

    def slope(decode: Any) -> Any:
        total = lambda z, value: jnp.sum(decode(z, {"lengthscale": value}) ** 2)  # noqa: E731
        gradients = jax.vmap(jax.grad(total, argnums=(0, 1)), in_axes=(0, None))
        return jax.jit(gradients)(z, jnp.asarray(value))

    for ours, theirs in zip(slope(module.decode), slope(bundle.decode), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("type_", ["PriorCVAE", "PriorCVAE, gated linear", "PriorVAE"])
def test_the_model_is_that_of_priorvae(type_: str, tmp_path: Path) -> None:
    """Same sites, draws and density: uniform on a log scale, a stretched beta, and none."""
    bundle = bundle_of(type_)
    module = vendored(bundle, tmp_path)
    ours, theirs = (
        lambda effect=effect: numpyro.deterministic("at", effect(index=[2, 0, 0]))
        for effect in (
            lambda **given: module.spatial_effect("f", **given),
            lambda **given: priorvae.numpyro.spatial_effect("f", bundle, **given),
        )
    )
    draws, expected = (Predictive(model, num_samples=4)(KEY) for model in (ours, theirs))
    assert draws.keys() == expected.keys()
    for name in draws:
        np.testing.assert_allclose(draws[name], expected[name], rtol=1e-12, atol=1e-12)
    values = {name: draw[0] for name, draw in draws.items() if name not in ("f", "at")}
    densities = [float(log_density(model, (), {}, values)[0]) for model in (ours, theirs)]
    assert abs(densities[0] - densities[1]) <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("family", ["uniform", "normal", "lognormal", "beta", "loguniform"])
def test_hyperpriors_are_those_trained_with(family: str, tmp_path: Path) -> None:
    from tests.test_pymc import bundle_with

    bundle = bundle_with(family)
    module = vendored(bundle, tmp_path)
    ours, theirs = module.hyperprior("lengthscale"), bundle.conditions[0].numpyro()
    values = theirs.sample(KEY, (5,))
    np.testing.assert_allclose(ours.log_prob(values), theirs.log_prob(values), rtol=1e-12)
    assert float(ours.support.lower_bound) == float(theirs.support.lower_bound)
    assert float(ours.support.upper_bound) == float(theirs.support.upper_bound)


def refusals(condition: Condition) -> dict[str, tuple[Any, str]]:
    return {
        "value": ({"lengthscale": 2 * condition.high}, "outside the trained range"),
        "mass": ({"lengthscale": dist.LogNormal(0.0, 9.0)}, "f_lengthscale: the hyperprior puts"),
        "support": ({"lengthscale": dist.Uniform(0.0, condition.high)}, "mass outside"),
        "unknown": ({"lengthscales": 1.0}, "no condition 'lengthscales'"),
    }


@pytest.mark.parametrize("which", ["value", "mass", "support", "unknown"])
def test_what_leaves_the_trained_range_is_refused(which: str, tmp_path: Path) -> None:
    bundle = bundle_of("GatedLinear")
    module = FILES["GatedLinear"]
    given, words = refusals(bundle.conditions[0])[which]
    with pytest.raises(ValueError, match=words):
        Predictive(lambda: module.spatial_effect("f", conditions=given), num_samples=1)(KEY)
    with pytest.raises(ValueError, match="expected a value for each of"):
        module.decode(jnp.zeros(12), {})


def test_a_category_must_be_fixed(tmp_path: Path) -> None:
    bundle = bundle_of("PriorCVAE of several kernels")
    module = vendored(bundle, tmp_path)
    for given in ({}, {"kernel": dist.DiscreteUniform(0, 2)}):
        with pytest.raises(ValueError, match="fix it to one of rbf, matern12, matern32"):
            Predictive(lambda g=given: module.spatial_effect("f", conditions=g), num_samples=1)(KEY)
    with pytest.raises(ValueError, match="expected one of rbf"):
        module.decode(jnp.zeros(12), {"kernel": "cosine", "lengthscale": 2.0})
    z = jax.random.normal(KEY, (12,))
    hyper = {"kernel": "matern12", "lengthscale": bundle.conditions[1].high}
    hyper = {c.name: hyper[c.name] for c in bundle.conditions}
    np.testing.assert_allclose(module.decode(z, hyper), bundle.decode(z, hyper), rtol=1e-12)


def test_a_damaged_file_fails_its_check(tmp_path: Path) -> None:
    module = vendored(bundle_of("GatedLinear"), tmp_path)
    name = "layers.0.0.1.kernel"
    module._WEIGHTS[name] = module._WEIGHTS[name] * np.float32(1.001)
    with pytest.raises(ValueError, match="golden case 0: relative error"):
        module.check()


def test_text_of_a_bundle_never_becomes_code(tmp_path: Path) -> None:
    bundle = bundle_of("GatedLinear")
    hostile = 'x"""\nimport os; os.abort()\n\\"""\u2028\x0c{{ 7 * 7 }} \N{SNOWMAN}'
    boundary = bundle.info.boundary.model_copy(update={"source": hostile, "licence": hostile})
    bad = changed(bundle, id=hostile, name=hostile, type=hostile, boundary=boundary)
    [path] = write_numpyro(bad, tmp_path)
    module = load(path)
    assert hostile == module.BUNDLE and path.parent == tmp_path and path.stem.isidentifier()
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="ascii")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert names == {"base64", "jax", "jax.numpy", "numpy", "numpyro", "numpyro.distributions"}


ALONE = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "priorvae":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
sys.path.insert(0, FOLDER)
try:
    import priorvae
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("priorvae is there")
import jax, jax.numpy as jnp, numpy as np, numpyro, numpyro.distributions as dist
import test as prior
prior.check()
low = prior.CONDITIONS["lengthscale"]["low"]
f = prior.decode(jnp.ones(prior.LATENT_DIM), {"lengthscale": low})
print("field", float(jnp.abs(f).max()))
"""

NUTS = """
y = jnp.asarray(np.random.default_rng(0).poisson(20 * np.exp(f)))
def model(y):
    numpyro.sample("y", dist.Poisson(20 * jnp.exp(prior.spatial_effect("f"))), obs=y)
means = []
for method in ("vectorized", "sequential", "parallel"):
    mcmc = numpyro.infer.MCMC(
        numpyro.infer.NUTS(model), num_warmup=200, num_samples=200, num_chains=2,
        chain_method=method, progress_bar=False,
    )
    mcmc.run(jax.random.key(1), y)
    draws = mcmc.get_samples()
    assert draws["f"].shape == (400, 12) and draws["f_z"].shape == (400, 12)
    means.append(draws["f"].mean(0))
np.testing.assert_allclose(means[0], means[1], atol=0.3)
np.testing.assert_allclose(means[2], means[1], atol=0.3)
"""


def run_alone(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-I", "-c", code.replace("FOLDER", repr(str(folder)))]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), cwd=folder)


def test_it_decodes_where_priorvae_is_not(tmp_path: Path) -> None:
    bundle = bundle_of("GatedLinear")
    write_numpyro(bundle, tmp_path)
    shown = run_alone(ALONE, tmp_path)
    assert shown.returncode == 0, shown.stderr
    low = {"lengthscale": bundle.conditions[0].low}
    expected = jnp.abs(bundle.decode(jnp.ones(bundle.latent_dim), low)).max()
    np.testing.assert_allclose(float(shown.stdout.split()[1]), float(expected), rtol=1e-12)


@pytest.mark.slow
def test_it_samples_where_priorvae_is_not_by_every_chain_method(tmp_path: Path) -> None:
    """Posterior sds are near .3 and draws 400, so that means are a hundredth off or two."""
    write_numpyro(bundle_of("GatedLinear"), tmp_path)
    shown = run_alone(ALONE + NUTS, tmp_path)
    assert shown.returncode == 0, shown.stderr
