"""Several kernels in one process, chosen by a hyperparameter that is a category."""

import itertools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.bundles import load_bundle, write_bundle
from priorvae.bundles.info import ConditionInfo
from priorvae.config import GPConfig, TrainingConfig, parse_config
from priorvae.errors import ConfigError, ProcessError
from priorvae.evaluation.targets import condition_grid
from priorvae.processes import Condition, Gaussian, InterpolatedRoot, build_process
from priorvae.processes.hypers import categorical
from priorvae.processes.mixture import mixture_covariance, quadrature
from priorvae.processes.roots import symmetric_root
from priorvae.training.strata import Strata
from tests.bundles.numpy_reader import golden_error
from tests.maps import lattice
from tests.samples import reference_bundle

AMONG = ("matern12", "matern32", "rbf")
LENGTHSCALE = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
CONSTANT = {"distribution": "constant", "value": 0.3, "unit": "extent"}


def config(**changes: Any) -> GPConfig:
    given = {"kernel": "categorical", "among": AMONG, "lengthscale": LENGTHSCALE, **changes}
    return GPConfig(kind="gp", **given)


@pytest.fixture(scope="module")
def process() -> Gaussian:
    return build_process(config(), lattice(4, 5))


@pytest.fixture(scope="module")
def separate() -> dict[str, Gaussian]:
    return {name: build_process(config(kernel=name, among=()), lattice(4, 5)) for name in AMONG}


def test_each_category_is_its_own_kernel(process: Gaussian, separate: dict[str, Gaussian]) -> None:
    assert [c.name for c in process.conditions] == ["lengthscale", "kernel"]
    for (number, name), length in itertools.product(enumerate(AMONG), (5.0, 20.0)):
        expected = separate[name].covariance({"lengthscale": length})
        for choice in (name, number, np.float64(number)):
            given = process.covariance({"lengthscale": length, "kernel": choice})
            np.testing.assert_array_equal(given, expected)


def test_jax_chooses_among_traced_numbers(process: Gaussian) -> None:
    """One compiled function serves every kernel, with gradients; also over a batch of choices."""
    traced = jax.jit(lambda length, k: process.covariance_jax({"lengthscale": length, "kernel": k}))
    for number in range(3):
        expected = process.covariance({"lengthscale": 20.0, "kernel": number})
        np.testing.assert_allclose(traced(20.0, jnp.asarray(number)), expected, atol=1e-13)
    slopes = jax.jacfwd(traced)(20.0, jnp.asarray(2.0))
    assert np.isfinite(slopes).all()
    choices, lengths = jnp.array([2.0, 0.0]), jnp.array([9.0, 30.0])
    both = jax.vmap(traced)(lengths, choices)
    for value, choice, length in zip(both, choices, lengths, strict=True):
        expected = process.covariance({"lengthscale": float(length), "kernel": int(choice)})
        np.testing.assert_allclose(value, expected, atol=1e-13)


def test_the_reference_decoder_is_every_kernel(
    process: Gaussian, separate: dict[str, Gaussian]
) -> None:
    bundle = reference_bundle(process, config())
    assert bundle.info.process.kernel == "matern12|matern32|rbf"
    (layer,) = bundle.decoder.layers
    assert layer.degrees[1] == 2  # type: ignore[attr-defined]
    for name, one in separate.items():
        for length in np.append(one.conditions[0].grid(5), 13.0):
            matrix = bundle.matrix({"lengthscale": float(length), "kernel": name})
            expected = one.covariance({"lengthscale": float(length)})
            np.testing.assert_allclose(matrix @ matrix.T, expected, atol=1e-5)


def test_a_bundle_decodes_labels_and_traced_numbers(process: Gaussian) -> None:
    bundle = reference_bundle(process, config())
    z = np.random.default_rng(0).normal(size=20)
    hyper = {"lengthscale": 15.0, "kernel": "rbf"}
    expected = bundle.decode_numpy(z, hyper)
    np.testing.assert_allclose(bundle.decode(jnp.asarray(z), hyper), expected, rtol=1e-9)
    decode = jax.jit(lambda k: bundle.decode(jnp.asarray(z), {"lengthscale": 15.0, "kernel": k}))
    np.testing.assert_allclose(decode(2), expected, rtol=1e-9)
    assert not np.allclose(decode(0), expected, atol=0.01)
    assert bundle.sample(jax.random.key(0), hyper, 3).shape == (3, 20)


def test_a_written_bundle_is_read_by_its_documented_formula(
    process: Gaussian, tmp_path: Path
) -> None:
    bundle = reference_bundle(process, config())
    path = write_bundle(bundle, tmp_path / "bundle")
    assert load_bundle(path).conditions == process.conditions
    assert golden_error(path) < 1e-9
    golden = np.load(path / "golden.npz")["theta"][:, 1]
    assert set(golden) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    "change", [{"labels": ["a"]}, {"high": 3.0}, {"transform": "log"}, {"distribution": "uniform"}]
)
def test_a_record_that_contradicts_itself_is_refused(
    process: Gaussian, change: dict[str, Any]
) -> None:
    record = asdict(process.conditions[1])
    assert ConditionInfo(**record).to_condition() == process.conditions[1]
    with pytest.raises(ValueError, match="categor"):
        ConditionInfo(**{**record, **change})


def test_categories_are_interpolated_exactly_whatever_they_are() -> None:
    """Unrelated matrices at five categories, and a smooth condition beside them."""
    rng = np.random.default_rng(0)
    squares = [symmetric_root(a @ a.T) for a in rng.normal(size=(5, 6, 6))]
    five = categorical("kernel", tuple("abcde"))
    size = Condition("size", "", 1.0, 2.0, "log", "loguniform")
    idle = replace(size, name="idle")

    def root(hyper: dict[str, float]) -> np.ndarray:
        return squares[int(hyper["kernel"])] * hyper.get("size", 1.3)

    for conditions in ((five,), (five, size), (size, five), (size, five, idle)):
        fitted = InterpolatedRoot.fit(root, conditions)
        assert fitted.degrees[conditions.index(five)] == 4
        assert fitted.error < 1e-6
        for number in range(5):
            unit = [c.to_unit(float(number) if c is five else 1.3) for c in conditions]
            np.testing.assert_allclose(fitted(np.array(unit)), 1.3 * squares[number], atol=1e-5)


def test_the_mixture_is_the_average_over_the_kernels(
    process: Gaussian, separate: dict[str, Gaussian]
) -> None:
    assert sum(weight for weight, _ in quadrature(process)) == pytest.approx(1)
    expected = sum(mixture_covariance(one) for one in separate.values()) / 3
    np.testing.assert_allclose(mixture_covariance(process), expected, atol=1e-12)


def test_every_category_is_judged_over_the_others(process: Gaussian) -> None:
    points = condition_grid(process.conditions, 7)
    assert len(points) == 21
    lengths = process.conditions[0].grid(7)
    for number in range(3):
        own = [p["lengthscale"] for p in points if p["kernel"] == number]
        np.testing.assert_allclose(own, lengths)
    alone = build_process(config(lengthscale=CONSTANT), lattice(4, 5))
    assert condition_grid(alone.conditions, 7) == [{"kernel": float(j)} for j in range(3)]


@pytest.mark.parametrize("over", ["range", "hyperprior"])
def test_training_sees_categories_alone_and_equally_often(process: Gaussian, over: str) -> None:
    settings = TrainingConfig(conditions_per_step=12, over=over)  # type: ignore[arg-type]
    strata = Strata.build(process.conditions, settings)
    nodes = process.conditions[1].to_unit(np.arange(3.0))
    for seed in range(3):
        units = np.asarray(strata.units(jax.random.key(seed)))[:, 1]
        nearest = np.abs(units[:, None] - nodes).argmin(axis=1)
        np.testing.assert_allclose(units, nodes[nearest], atol=1e-6)
        np.testing.assert_array_equal(np.bincount(nearest), [4, 4, 4])


def test_every_candidate_must_be_valid_on_the_sphere() -> None:
    with pytest.raises(ProcessError, match="kernel rbf of great-circle distance is not positive"):
        build_process(config(among=("matern12", "rbf"), distance="great-circle"), lattice(4, 5))


def test_an_unknown_choice_names_the_nearest(process: Gaussian) -> None:
    with pytest.raises(ProcessError, match=r"unknown kernel 'rbt' .did you mean 'rbf'"):
        process.covariance({"lengthscale": 20.0, "kernel": "rbt"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"among": ("rbf",)}, r"process.among: a categorical kernel is one of at least two"),
        ({"among": ("rbf", "rbf")}, r"process.among: .* at least two different ones"),
        ({"among": ()}, r"process.among: .* at least two"),
        ({"among": ("rbf", "matern23")}, r"process.among.1: expected one of .*did you mean"),
        ({"kernel": "rbf"}, r"process.among: kernel rbf has none to choose among"),
        ({"lengthscale": None}, r"process.lengthscale: kernel categorical needs a lengthscale"),
    ],
)
def test_bad_configurations_say_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    given = {"kernel": "categorical", "among": AMONG, "lengthscale": LENGTHSCALE, **changes}
    raw = {
        "name": "x", "seed": 1, "areas": {"source": "grid:4x5"},
        "process": {"kind": "gp", **given}, "model": {"type": "reference"},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        parse_config(raw, "config.yaml")
