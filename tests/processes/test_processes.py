"""One contract for every process: covariance, root, draws; each against an independent oracle."""

import jax
import numpy as np
import pytest
from numpyro import distributions as dist

from priorvae.areas.types import Areas, Provenance
from priorvae.config import CARConfig, GPConfig, ProcessConfig
from priorvae.errors import ConfigError, ProcessError
from priorvae.processes import Gaussian, InterpolatedRoot, build_process, symmetric_root
from priorvae.processes.conditions import unit_vector
from priorvae.processes.mixture import mixture_covariance
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
CONFIGS: dict[str, ProcessConfig] = {
    kernel: GPConfig(kind="gp", kernel=kernel, lengthscale=LENGTHSCALE)  # type: ignore[arg-type]
    for kernel in ("rbf", "matern12", "matern32", "matern52")
}
CONFIGS["car"] = CARConfig(
    kind="car",
    alpha={"distribution": "uniform", "low": 0.0, "high": 0.99},  # type: ignore[arg-type]
)


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def process(request: pytest.FixtureRequest) -> Gaussian:
    return build_process(CONFIGS[request.param], lattice(5, 6))


def hypers(process: Gaussian, num: int = 5) -> list[dict[str, float]]:
    (condition,) = process.conditions
    return [{condition.name: float(v)} for v in condition.grid(num)]


def test_root_squares_to_the_covariance(process: Gaussian) -> None:
    for hyper in hypers(process):
        root = process.root(hyper)
        np.testing.assert_allclose(root @ root.T, process.covariance(hyper), atol=1e-12)


def test_jax_covariance_agrees_and_has_a_gradient(process: Gaussian) -> None:
    for hyper in hypers(process):
        exact = process.covariance(hyper)
        np.testing.assert_allclose(process.covariance_jax(hyper), exact, atol=1e-13)
        ((name, value),) = hyper.items()
        slope = jax.jacobian(lambda v, name=name: process.covariance_jax({name: v}))(value)
        assert np.isfinite(slope).all()


def test_draws_have_the_covariance(process: Gaussian) -> None:
    """200,000 draws; each entry within 5.5 standard errors (n = 900 entries, alpha about 3e-5)."""
    hyper, num = hypers(process)[2], 200_000
    draws = np.asarray(process.sample_batch(jax.random.key(0), hyper, num))
    expected = process.covariance(hyper)
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / num)
    assert (np.abs(draws.T @ draws / num - expected) < 5.5 * error).all()


def test_one_draw_is_the_first_of_one(process: Gaussian) -> None:
    key, hyper = jax.random.key(3), hypers(process)[1]
    one = process.sample(key, hyper)
    assert one.shape == (len(process.areas),)
    np.testing.assert_array_equal(one, process.sample_batch(key, hyper, 1)[0])


def test_interpolated_root_is_exact_between_its_nodes(process: Gaussian) -> None:
    root = InterpolatedRoot.fit(process.root, process.conditions)
    assert root.error <= 1e-6
    for hyper in hypers(process, 9):
        unit = unit_vector(process.conditions, hyper, np)
        expected = process.root(hyper)
        error = np.linalg.norm(root(unit) - expected) / np.linalg.norm(expected)
        assert error < 2e-6
    # Symmetric roots are smooth: few matrices hold the whole range.
    assert len(root.matrices) <= 20


def test_car_precision_is_the_definition() -> None:
    process = build_process(CONFIGS["car"], lattice(5, 6))
    adjacency = process.areas.adjacency.toarray()
    for alpha in (0.0, 0.5, 0.99):
        precision = np.diag(adjacency.sum(1)) - alpha * adjacency
        np.testing.assert_allclose(
            np.linalg.inv(process.covariance({"alpha": alpha})), precision, atol=1e-8
        )


def test_car_density_is_numpyros() -> None:
    process = build_process(CONFIGS["car"], lattice(5, 6))
    field = np.random.default_rng(0).normal(size=30)
    oracle = dist.CAR(0.0, 0.7, 1.0, process.areas.adjacency.toarray())
    ours = dist.MultivariateNormal(0.0, process.covariance({"alpha": 0.7}))
    np.testing.assert_allclose(ours.log_prob(field), oracle.log_prob(field), rtol=1e-9)


def test_nugget_is_on_the_diagonal_and_below_1e_5() -> None:
    process = build_process(CONFIGS["rbf"], lattice(4, 4))
    np.testing.assert_allclose(np.diag(process.covariance(hypers(process)[0])), 1 + process.nugget)
    assert 0 < process.nugget < 1e-5


def test_extent_becomes_km() -> None:
    process = build_process(CONFIGS["rbf"], lattice(4, 10, spacing=10))
    assert process.conditions[0].low == pytest.approx(5.0)
    assert process.conditions[0].high == pytest.approx(100.0)
    assert process.conditions[0].unit == "km"


def test_constant_hyperparameter_leaves_no_condition() -> None:
    config = CARConfig(kind="car", alpha={"distribution": "constant", "value": 0.9})  # type: ignore[arg-type]
    process = build_process(config, lattice(3, 4))
    assert process.conditions == ()
    free = build_process(CONFIGS["car"], lattice(3, 4))
    np.testing.assert_allclose(process.covariance({}), free.covariance({"alpha": 0.9}))
    assert InterpolatedRoot.fit(process.root, ()).error < 1e-12


def test_mixture_covariance_is_the_mean_over_the_hyperprior() -> None:
    process = build_process(CONFIGS["matern32"], lattice(4, 4))
    (condition,) = process.conditions
    values = condition.quantile((np.arange(4000) + 0.5) / 4000)
    mean = np.mean([process.covariance({"lengthscale": v}) for v in values], axis=0)
    np.testing.assert_allclose(mixture_covariance(process), mean, atol=1e-6)


def _with(areas: Areas, **changes: object) -> Areas:
    fields = {name: getattr(areas, name) for name in areas.__dataclass_fields__}
    return Areas(**{**fields, **changes})  # type: ignore[arg-type]


def test_gp_without_centroids_is_refused() -> None:
    bare = _with(lattice(3, 3), centroids=None, extent=None, provenance=Provenance("edges.csv"))
    config = GPConfig(
        kind="gp",
        kernel="rbf",
        lengthscale={"distribution": "constant", "value": 3.0, "unit": "km"},  # type: ignore[arg-type]
    )
    with pytest.raises(ProcessError, match=r"edges.csv is an adjacency alone"):
        build_process(config, bare)
    with pytest.raises(ConfigError, match="needs a map with coordinates"):
        build_process(CONFIGS["rbf"], bare)


def test_gp_with_coincident_centroids_is_refused() -> None:
    areas = lattice(3, 3)
    places = areas.centroids.copy()  # type: ignore[union-attr]
    places[1] = places[0]
    with pytest.raises(ProcessError, match="same centroid"):
        build_process(CONFIGS["rbf"], _with(areas, centroids=places))


def test_car_with_an_island_is_refused() -> None:
    areas = lattice(1, 4)
    edges = areas.edges[:2]
    alone = _with(areas, edges=edges, bridge=np.zeros(2, dtype=bool))
    with pytest.raises(ProcessError, match="without one: a003"):
        build_process(CONFIGS["car"], alone)


def test_car_outside_its_graphs_range_is_refused() -> None:
    config = CARConfig(kind="car", alpha={"distribution": "uniform", "low": -1.5, "high": 0.5})  # type: ignore[arg-type]
    with pytest.raises(ProcessError, match=r"alpha must lie in \(-1, 1\)"):
        build_process(config, lattice(3, 4))


def test_symmetric_root_of_a_singular_matrix() -> None:
    matrix = np.outer([1.0, 2.0], [1.0, 2.0])
    root = symmetric_root(matrix)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-12)
