"""Gaussian processes beyond one lengthscale: every configuration, to the bundle and back."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import yaml

from priorvae.areas import read_areas
from priorvae.bundles import load_bundle
from priorvae.config import GPConfig, dump_config, load_config, parse_config
from priorvae.errors import ConfigError
from priorvae.pipeline import train_run
from priorvae.processes import Gaussian, build_process
from tests.maps import lattice


def free(low: float, high: float, unit: str = "") -> dict[str, Any]:
    return {"distribution": "loguniform", "low": low, "high": high, "unit": unit}


def constant(value: float, unit: str = "") -> dict[str, Any]:
    return {"distribution": "constant", "value": value, "unit": unit}


LENGTHSCALE = free(0.1, 1.0, "extent")
SHORT = constant(0.2, "extent")
CONFIGS: dict[str, dict[str, Any]] = {
    "rational-quadratic": {
        "kernel": "rational-quadratic",
        "lengthscale": LENGTHSCALE,
        "shape": free(0.3, 3.0),
    },
    "periodic": {
        "kernel": "periodic",
        "lengthscale": free(0.5, 2.0),
        "period": constant(0.7, "extent"),
    },
    "sum": {
        "kernel": "sum",
        "terms": [
            {"kernel": "matern32", "lengthscale": LENGTHSCALE},
            {"kernel": "matern12", "lengthscale": SHORT, "weight": free(0.2, 5.0)},
        ],
    },
    "product": {
        "kernel": "product",
        "terms": [
            {"kernel": "matern52", "lengthscale": LENGTHSCALE},
            {
                "kernel": "periodic",
                "lengthscale": constant(1.0),
                "period": constant(0.6, "extent"),
            },
        ],
    },
    "anisotropy": {
        "kernel": "matern32",
        "lengthscale": LENGTHSCALE,
        "anisotropy": {"ratio": free(1.0, 3.0), "angle": constant(30.0)},
    },
    "angle": {
        "kernel": "matern32",
        "lengthscale": SHORT,
        "anisotropy": {
            "ratio": constant(2.0),
            "angle": {"distribution": "uniform", "low": 0.0, "high": 90.0},
        },
    },
}


def build(name: str) -> Gaussian:
    return build_process(GPConfig(kind="gp", **CONFIGS[name]), lattice(4, 5))


def middle(process: Gaussian) -> dict[str, float]:
    return {c.name: float(c.from_unit(0.1)) for c in process.conditions}


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_names_of_hyperparameters(name: str) -> None:
    expected = {
        "rational-quadratic": ("lengthscale", "shape"),
        "periodic": ("lengthscale",),
        "sum": ("lengthscale_1", "weight_2"),
        "product": ("lengthscale_1",),
        "anisotropy": ("lengthscale", "ratio"),
        "angle": ("angle",),
    }
    assert tuple(c.name for c in build(name).conditions) == expected[name]


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_covariance_root_and_gradient(name: str) -> None:
    process = build(name)
    hyper = middle(process)
    exact = process.covariance(hyper)
    np.testing.assert_allclose(np.diag(exact), 1 + process.nugget, rtol=1e-12)
    assert np.linalg.eigvalsh(exact)[0] > 0.5 * process.nugget
    root = process.root(hyper)
    np.testing.assert_allclose(root @ root.T, exact, atol=1e-12)
    np.testing.assert_allclose(process.covariance_jax(hyper), exact, atol=1e-12)
    slopes = jax.jacobian(process.covariance_jax)(hyper)
    assert all(np.isfinite(slope).all() for slope in slopes.values())


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_draws_have_the_covariance(name: str) -> None:
    """200,000 draws; each entry within 5.5 standard errors (n = 400 entries, alpha about 2e-5)."""
    process, num = build(name), 200_000
    hyper = middle(process)
    draws = np.asarray(process.sample_batch(jax.random.key(0), hyper, num))
    expected = process.covariance(hyper)
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / num)
    assert (np.abs(draws.T @ draws / num - expected) < 5.5 * error).all()


def test_a_sum_is_weighted_and_a_product_multiplied() -> None:
    areas = lattice(4, 5)

    def covariance(**config: Any) -> np.ndarray:
        return build_process(GPConfig(kind="gp", nugget=1e-12, **config), areas).covariance({})

    terms = [
        {"kernel": "matern32", "lengthscale": constant(0.5, "extent")},
        {"kernel": "rbf", "lengthscale": SHORT},
    ]
    first, second = (covariance(**term) for term in terms)
    weighted = [{**terms[0], "weight": constant(3.0)}, terms[1]]
    both = covariance(kernel="sum", terms=weighted)
    np.testing.assert_allclose(both, 0.75 * first + 0.25 * second, atol=1e-11)
    both = covariance(kernel="product", terms=terms)
    np.testing.assert_allclose(both, first * second, atol=1e-11)


def test_the_lengthscale_holds_along_the_angle() -> None:
    """A bearing of 90 degrees is east: down the map, distance counts twice."""
    areas = lattice(4, 5)
    turn = {"ratio": constant(2.0), "angle": constant(90.0)}
    config = {"kernel": "matern12", "lengthscale": constant(10.0, "km"), "anisotropy": turn}
    covariance = build_process(GPConfig(kind="gp", **config), areas).covariance({})  # type: ignore[arg-type]
    np.testing.assert_allclose(covariance[0, [1, 5]], np.exp([-1.0, -2.0]), rtol=1e-12)


def run(process: dict[str, Any], source: str = "grid:4x5") -> dict[str, Any]:
    return {
        "name": "round-trip",
        "seed": 1,
        "areas": {"source": source},
        "process": {"kind": "gp", **process},
        "model": {"type": "reference"},
        "certificate": {"num_draws": 100},
    }


SPHERE = {"kernel": "matern12", "lengthscale": free(30.0, 300.0, "km"), "distance": "great-circle"}


@pytest.mark.parametrize(
    ("process", "source"),
    [
        (CONFIGS["rational-quadratic"], "grid:4x5"),
        pytest.param(CONFIGS["sum"], "grid:4x5", marks=pytest.mark.slow),
        pytest.param(CONFIGS["product"], "grid:4x5", marks=pytest.mark.slow),
        (CONFIGS["anisotropy"], "grid:4x5"),
        pytest.param(SPHERE, "builtin:sids2", marks=pytest.mark.slow),
        ({**SPHERE, "kernel": "matern52", "distance": "chordal"}, "builtin:sids2"),
    ],
    ids=["rational-quadratic", "sum", "product", "anisotropy", "great-circle", "chordal"],
)
def test_from_yaml_to_a_certified_bundle_and_back(
    process: dict[str, Any], source: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(run(process, source)), encoding="utf-8")
    config = load_config(path)
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config
    train_run(config, out=tmp_path / "run")
    bundle = load_bundle(tmp_path / "run" / "bundle")
    exact = build_process(config.process, read_areas(source))
    for unit in (-1.0, 0.3, 1.0):
        hyper = {c.name: float(c.from_unit(unit)) for c in exact.conditions}
        expected = exact.covariance(hyper)
        np.testing.assert_allclose(bundle.process().covariance(hyper), expected, atol=1e-9)
        decoded = bundle.matrix(hyper)
        error = np.linalg.norm(decoded @ decoded.T - expected) / np.linalg.norm(expected)
        assert error < 1e-5
    assert bundle.info.certificate.status == "passed"


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ({"kernel": "matern23", "lengthscale": LENGTHSCALE}, r"did you mean 'matern"),
        (
            {"kernel": "rational-quadratik", "lengthscale": LENGTHSCALE},
            r"did you mean 'rational-quadratic'",
        ),
        (
            {**CONFIGS["rational-quadratic"], "shape": constant(-1.0)},
            r"process.shape: a shape must be positive \(got -1\)",
        ),
        (
            {**CONFIGS["rational-quadratic"], "shape": constant(1.0, "km")},
            r"process.shape: the shape of kernel rational-quadratic has no `unit`",
        ),
        ({"kernel": "rational-quadratic", "lengthscale": LENGTHSCALE}, r"needs a shape"),
        ({"kernel": "rbf"}, r"process.lengthscale: kernel rbf needs a lengthscale"),
        (
            {"kernel": "rbf", "lengthscale": LENGTHSCALE, "shape": constant(1.0)},
            r"process.shape: kernel rbf has no shape",
        ),
        (
            {**CONFIGS["periodic"], "period": constant(3.0)},
            r"process.period: `unit` must say",
        ),
        (
            {**CONFIGS["periodic"], "lengthscale": LENGTHSCALE},
            r"process.lengthscale: the lengthscale of kernel periodic has no `unit`",
        ),
        ({"kernel": "sum"}, r"process.terms: a sum needs at least two terms"),
        (
            {"kernel": "product", "terms": CONFIGS["sum"]["terms"]},
            r"process.terms: a product has no weights",
        ),
        (
            {
                "kernel": "sum",
                "terms": 2 * [{"kernel": "rbf", "lengthscale": SHORT, "weight": free(0.5, 2)}],
            },
            r"process.terms: weights are relative: leave one of them constant",
        ),
        ({**CONFIGS["sum"], "lengthscale": LENGTHSCALE}, r"kernel sum has no lengthscale"),
        (
            {"kernel": "sum", "terms": [{"kernel": "rbf", "lengthscal": LENGTHSCALE}]},
            r"process.terms.0.lengthscal: unknown key \(did you mean 'lengthscale'",
        ),
        (
            {
                "kernel": "sum",
                "terms": [
                    {"kernel": "rbf", "lengthscale": LENGTHSCALE, "weight": constant(0.0)},
                ],
            },
            r"process.terms.0.weight: a weight must be positive \(got 0\)",
        ),
        (
            {
                **CONFIGS["anisotropy"],
                "anisotropy": {"ratio": constant(0.5), "angle": constant(0.0)},
            },
            r"process.anisotropy.ratio: a ratio must be at least 1",
        ),
        (
            {
                **CONFIGS["anisotropy"],
                "anisotropy": {
                    "ratio": constant(2.0),
                    "angle": {"distribution": "uniform", "low": 0.0, "high": 360.0},
                },
            },
            r"process.anisotropy.angle: directions repeat after 180 degrees",
        ),
        (
            {**CONFIGS["periodic"], "lengthscale": free(0.0, 1.0)},
            r"loguniform needs a positive `low`",
        ),
        (
            {"kernel": "rbf", "lengthscale": LENGTHSCALE, "distance": "great circle"},
            r"process.distance: expected one of .*did you mean 'great-circle'",
        ),
    ],
)
def test_bad_configurations_say_what_is_wrong(process: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(run(process), "config.yaml")
