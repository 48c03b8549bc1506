"""Space-time and several outcomes: layers mixed from independent fields."""

import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.areas.types import Areas
from priorvae.config import RunConfig, parse_config
from priorvae.errors import ConfigError, ProcessError
from priorvae.processes import GP, ICAR, Condition, ProperCAR, build_process
from priorvae.processes.build import read_process
from priorvae.processes.multivariate import Coregionalisation, SharedComponent
from priorvae.processes.roots import InterpolatedRoot
from priorvae.processes.samplers import LatentSampler, build_sampler
from priorvae.processes.samplers.polynomial import PolynomialSampler
from priorvae.processes.spacetime import AR1, RandomWalk
from priorvae.processes.stacked import Stacked
from tests.maps import lattice, two_lattices_and_an_island

PHI = {"distribution": "uniform", "low": -0.9, "high": 0.99}
ALPHA = {"distribution": "uniform", "low": 0.0, "high": 0.99}
LENGTHSCALE = {"distribution": "loguniform", "low": 0.1, "high": 1.0, "unit": "extent"}
SHARE = {"distribution": "beta", "low": 0.0, "high": 1.0}
LOADING = {"distribution": "normal", "low": -2.0, "high": 2.0}
CAR = {"kind": "car", "alpha": ALPHA}
MATERN = {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE}
BYM2 = {"kind": "bym2", "rho": SHARE}
AR = {"kind": "ar1", "phi": PHI}
SHARED = {"kind": "multivariate", "outcomes": ["hiv", "tb"], "shared": CAR}
SHARES = {"hiv": SHARE, "tb": 0.3}
LINEAR = {
    "kind": "multivariate",
    "outcomes": ["hiv", "tb", "flu"],
    "components": [MATERN, CAR],
    "loadings": {"hiv": [1, 0], "tb": [LOADING, 1], "flu": [0.5, LOADING]},
}


def build(record: dict[str, Any], areas: Areas | None = None) -> Stacked:
    process = build_process(read_process(record), areas or lattice(3, 4))
    assert isinstance(process, Stacked)
    return process


def space_time(spatial: dict[str, Any], temporal: Any, times: Any = 4) -> dict[str, Any]:
    temporal = temporal if isinstance(temporal, dict) else {"kind": temporal}
    return {"kind": "space-time", "times": times, "spatial": spatial, "temporal": temporal}


EVERY = {
    "ar1 x car": space_time(CAR, AR),
    "ar1 x gp": space_time(MATERN, AR, [2001, 2003, 2005]),
    "rw1 x bym2": space_time(BYM2, "rw1"),
    "rw2 x gp": space_time(MATERN, "rw2"),
    "rw1 x icar": space_time({"kind": "icar"}, "rw1"),
    "shared, one process": SHARED | {"shares": SHARES},
    "shared, two processes": SHARED | {"specific": BYM2, "shares": SHARES},
    "linear": LINEAR,
    "linear, on a graph": LINEAR | {"components": [BYM2, CAR]},
}


def values_at(process: Stacked, unit: float) -> dict[str, float]:
    """Conditions at places of their ranges that differ."""
    units = np.clip(unit + 0.2 * np.arange(len(process.conditions)), -1, 1)
    pairs = zip(process.conditions, units, strict=True)
    return {c.name: float(c.from_unit(u)) for c, u in pairs}


@pytest.fixture(params=EVERY)
def process(request: pytest.FixtureRequest) -> Stacked:
    return build(EVERY[request.param])


# Time


def stationary(num: int, phi: float) -> np.ndarray:
    return np.array([[phi ** abs(s - t) for s in range(num)] for t in range(num)])


@pytest.mark.parametrize("num", [2, 3, 4, 9])
@pytest.mark.parametrize("phi", [-0.999, -0.5, 0.0, 0.3, 0.999])
def test_both_forms_of_an_ar1_have_its_covariance(num: int, phi: float) -> None:
    mixing = AR1(num, (), {"phi": phi})
    root = mixing.matrix({})
    np.testing.assert_allclose(root @ root.T, stationary(num, phi), atol=1e-14)
    np.testing.assert_array_equal(root, np.tril(root))
    left, gate, *_ = mixing.terms
    assert left.shape == (num, 2 * (num - 1))
    np.testing.assert_allclose((left * gate({}) ** 2) @ left.T, stationary(num, phi), atol=1e-13)


def test_an_ar1_is_its_recursion() -> None:
    z = np.random.default_rng(0).standard_normal(5)
    field = [z[0]]
    for news in z[1:]:
        field.append(0.6 * field[-1] + (1 - 0.6**2) ** 0.5 * news)
    np.testing.assert_allclose(AR1(5, (), {}).matrix({"phi": 0.6}) @ z, field, atol=1e-14)


@pytest.mark.parametrize("form", ["matrix", "terms"])
def test_an_ar1_is_differentiable_where_it_vanishes(form: str) -> None:
    """Against central differences, whose error is of the order of step^2 and rounding / step."""
    mixing, step = AR1(4, (), {}), 1e-5

    def root(phi: Any) -> Any:
        terms = mixing.terms
        return mixing.matrix({"phi": phi}) if form == "matrix" else terms.gate({"phi": phi})

    for phi in (-0.4, 0.0, 0.7):
        slope = (root(phi + step) - root(phi - step)) / (2 * step)
        np.testing.assert_allclose(jax.jacfwd(root)(phi), slope, atol=1e-8)
        np.testing.assert_allclose(jax.jit(root)(phi), root(phi), atol=1e-14)


@pytest.mark.parametrize(("num", "most"), [(3, 11), (10, 23), (30, 31)])
def test_an_ar1_is_smooth_on_the_scale_of_its_condition(num: int, most: int) -> None:
    """The uniform scale takes a degree of 47 or more, or does not reach this error at all."""
    free = Condition("phi", "", -0.99, 0.99, "asin", "uniform")
    mixing = AR1(num, (free,), {})
    forms = (mixing.matrix, lambda hyper: mixing.terms.gate(hyper)[:, None])
    for root in forms:
        fitted = InterpolatedRoot.fit(root, (free,), tolerance=1e-6)
        assert fitted.error <= 1e-6 and fitted.degrees[0] <= most
        uniform = (replace(free, transform="identity"),)
        assert InterpolatedRoot.fit(root, uniform, tolerance=1e-6).degrees[0] >= 47


@pytest.mark.parametrize("num", [4, 7, 60])
@pytest.mark.parametrize("order", [1, 2])
def test_a_random_walk_is_intrinsic_and_scaled(num: int, order: int) -> None:
    root = RandomWalk(num, order).matrix({})
    covariance = root @ root.T
    assert root.shape == (num, num - order)
    assert np.exp(np.log(np.diag(covariance)).mean()) == pytest.approx(1, abs=1e-6)
    # What it does not move: constants, and of order 2 straight lines.
    for power in range(order):
        assert np.abs(covariance @ np.arange(num, dtype=float) ** power).max() < 1e-8 * num**power
    # Its precision is proportional to D'D: zero off the band, with the increments' coefficients.
    precision = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    far = np.abs(np.subtract.outer(range(num), range(num))) > order
    assert np.abs(precision[far]).max(initial=0) < 1e-7 * precision.max()
    weights = [1.0, -1.0] if order == 1 else [1.0, -2.0, 1.0]
    differences = np.array([np.convolve(row, weights, "valid") for row in np.eye(num)]).T
    expected = differences.T @ differences
    ratio = precision[0, 0] / expected[0, 0]
    np.testing.assert_allclose(precision, ratio * expected, atol=1e-7 * precision.max())


@pytest.mark.parametrize("num", [2, 3])
def test_the_shortest_random_walks(num: int) -> None:
    walk = RandomWalk(num, num - 1).matrix({})
    contrast = np.array([1.0, -1.0]) if num == 2 else np.array([1.0, -2.0, 1.0])
    scaled = contrast / np.exp(np.log(np.abs(contrast)).mean())
    np.testing.assert_allclose(walk[:, 0] * np.sign(walk[0, 0]), scaled)
    with pytest.raises(ProcessError, match=f"order {num} needs at least {num + 1} times, got 2"):
        RandomWalk(2, num)


# The covariance of a field, against dense products


def test_space_time_is_separable() -> None:
    areas = lattice(3, 4)
    hyper = {"alpha": 0.8, "phi": 0.6}
    alpha = Condition("alpha", "", 0.0, 0.99, "log1m", "uniform")
    spatial = ProperCAR(areas, (alpha,), {}).covariance({"alpha": 0.8})
    expected = np.kron(stationary(4, 0.6), spatial)
    found = build(EVERY["ar1 x car"])
    np.testing.assert_allclose(found.covariance(hyper), expected, atol=1e-13)
    assert found.kind == "space-time" and found.layers == ("time", ("1", "2", "3", "4"))
    assert [c.name for c in found.conditions] == ["alpha", "phi"] and found.size == 48


def test_space_time_of_a_gaussian_process_has_its_nugget() -> None:
    areas = lattice(3, 4)
    process = build(EVERY["ar1 x gp"], areas)
    assert areas.extent == process.conditions[0].high and process.conditions[0].unit == "km"
    hyper = {"lengthscale": 15.0, "phi": -0.4}
    spatial = GP(areas, "matern32", (), {"lengthscale": 15.0}, 1e-6).covariance({})
    expected = np.kron(stationary(3, -0.4), spatial)
    np.testing.assert_allclose(process.covariance(hyper), expected, atol=1e-13)
    assert process.nugget == 1e-6
    assert process.sites[0] == "2001/a000" and process.sites[-1] == "2005/a011"


@pytest.mark.parametrize("order", [1, 2])
def test_interactions_of_type_iv_have_the_rank_of_their_factors(order: int) -> None:
    """Knorr-Held (2000), table 1: `(T - order) (n - components)`; here an area alone is regular."""
    areas = two_lattices_and_an_island()
    found = build(space_time({"kind": "icar"}, f"rw{order}", 5), areas)
    covariance = found.covariance({})
    walk = RandomWalk(5, order).matrix({})
    np.testing.assert_allclose(
        covariance, np.kron(walk @ walk.T, ICAR(areas).covariance({})), atol=1e-12
    )
    rank = np.linalg.matrix_rank(covariance, tol=1e-9, hermitian=True)
    assert rank == (5 - order) * (len(areas) - 2)
    assert np.exp(np.log(np.diag(covariance)).mean()) == pytest.approx(1, abs=1e-6)
    sampler = build_sampler(found)
    assert isinstance(sampler, LatentSampler)
    assert not found.conditions and sampler.latent_dim == rank


def test_a_shared_component_correlates_outcomes() -> None:
    spatial = ProperCAR(lattice(3, 4), (), {"alpha": 0.7}).covariance({})
    found = build(EVERY["shared, one process"])
    assert [c.name for c in found.conditions] == ["alpha", "share_hiv"]
    assert found.fixed == {"share_tb": 0.3} and found.layers == ("outcome", ("hiv", "tb"))
    between = (0.8 * 0.3) ** 0.5
    covariance = found.covariance({"alpha": 0.7, "share_hiv": 0.8})
    np.testing.assert_allclose(covariance, np.kron([[1, between], [between, 1]], spatial))


def test_outcomes_of_their_own_may_be_of_another_process() -> None:
    areas = lattice(3, 4)
    found = build(EVERY["shared, two processes"], areas)
    assert [c.name for c in found.conditions] == ["alpha_1", "rho_2", "share_hiv"]
    hyper = {"alpha_1": 0.7, "rho_2": 0.4, "share_hiv": 0.8}
    shared = ProperCAR(areas, (), {"alpha": 0.7}).covariance({})
    own = build_process(read_process(BYM2 | {"rho": 0.4}), areas).covariance({})  # type: ignore[attr-defined]
    blocks = found.covariance(hyper).reshape(2, 12, 2, 12)
    np.testing.assert_allclose(blocks[0, :, 0], 0.8 * shared + 0.2 * own, atol=1e-14)
    np.testing.assert_allclose(blocks[1, :, 1], 0.3 * shared + 0.7 * own, atol=1e-14)
    np.testing.assert_allclose(blocks[0, :, 1], (0.8 * 0.3) ** 0.5 * shared, atol=1e-14)


def test_linear_coregionalisation_by_hand() -> None:
    areas = lattice(3, 4)
    found = build(LINEAR, areas)
    free = ["lengthscale_1", "alpha_2", "loading_tb_1", "loading_flu_2"]
    assert [c.name for c in found.conditions] == free
    hyper = dict(zip(free, [20.0, 0.9, -1.5, 2.0], strict=True))
    first = GP(areas, "matern32", (), {"lengthscale": 20.0}, 1e-6).covariance({})
    second = ProperCAR(areas, (), {"alpha": 0.9}).covariance({})
    tb, flu = 1 / (1.5**2 + 1) ** 0.5, 1 / (0.5**2 + 2.0**2) ** 0.5
    loadings = np.array([[1, 0], [-1.5 * tb, tb], [0.5 * flu, 2.0 * flu]])
    blocks = found.covariance(hyper).reshape(3, 12, 3, 12)
    for j in range(3):
        for k in range(3):
            expected = (
                loadings[j, 0] * loadings[k, 0] * first + loadings[j, 1] * loadings[k, 1] * second
            )
            np.testing.assert_allclose(blocks[j, :, k], expected, atol=1e-14)


def test_mixings_of_outcomes_have_unit_variance_and_keep_to_their_draw() -> None:
    rng = np.random.default_rng(1)
    shared = SharedComponent(("a", "b", "c"), (), {"share_b": 0.25})
    linear = Coregionalisation(("a", "b"), 2, (), {"loading_a_1": 1.0, "loading_b_2": -3.0})
    given: dict[str, Any] = {
        "share_a": rng.uniform(size=(5, 1)),
        "share_c": rng.uniform(size=(5, 1)),
        "loading_a_2": rng.normal(size=(5, 1)),
        "loading_b_1": rng.normal(size=(5, 1)),
    }
    for mixing in (shared, linear):
        many = mixing.matrix(given)
        np.testing.assert_allclose((many**2).sum(-1), 1, atol=1e-14)
        one = mixing.matrix({name: values[3, 0] for name, values in given.items()})
        np.testing.assert_allclose(many[3], one, atol=1e-15)
        traced = jax.jit(mixing.matrix)({n: jnp.asarray(v[3, 0]) for n, v in given.items()})
        np.testing.assert_allclose(traced, one, atol=1e-14)


# What every one of them promises


@pytest.mark.parametrize("unit", [-1.0, -0.3, 0.5])
def test_covariance_root_and_jax_agree(process: Stacked, unit: float) -> None:
    hyper = values_at(process, unit)
    covariance, root = process.covariance(hyper), process.root(hyper)
    assert covariance.shape == (process.size, process.size) and len(root) == process.size
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-12)
    np.testing.assert_allclose(jax.jit(process.covariance_jax)(hyper), covariance, atol=1e-12)


def test_the_eigenbasis_serves_every_value(process: Stacked) -> None:
    basis = process.eigenbasis
    if any(isinstance(part, GP) for part in process.processes):
        assert basis is None  # a kernel's eigenvectors turn with the lengthscale
        return
    assert basis is not None
    for unit in (-1.0, 0.1, 1.0):
        hyper = values_at(process, unit)
        root = (basis.left * basis.gate(hyper)) @ basis.right
        np.testing.assert_allclose(root @ root.T, process.covariance(hyper), atol=1e-12)
        rows = {name: np.full((3, 1), value) for name, value in hyper.items()}
        gates = np.broadcast_to(basis.gate(rows), (3, len(basis.right)))
        np.testing.assert_allclose(gates[1], basis.gate(hyper), atol=1e-15)
        traced = jax.jit(basis.gate)({name: jnp.asarray(v) for name, v in hyper.items()})
        np.testing.assert_allclose(traced, basis.gate(hyper), atol=1e-14)
    if basis.orthonormal:
        identity = np.eye(len(basis.right))
        np.testing.assert_allclose(basis.right @ basis.right.T, identity, atol=1e-12)


def test_draws_have_the_length_of_a_field(process: Stacked) -> None:
    hyper = values_at(process, 0.0)
    assert process.sample(jax.random.key(0), hyper).shape == (process.size,)
    assert process.sample_batch(jax.random.key(0), hyper, 3).shape == (3, process.size)


def test_neighbours_are_within_a_layer(process: Stacked) -> None:
    edges, n = process.edges, len(process.areas)
    assert len(edges) == process.num_layers * len(process.areas.edges)
    assert (edges // n == edges[:, [0]] // n).all()
    np.testing.assert_array_equal(edges % n, np.tile(process.areas.edges, (process.num_layers, 1)))


# Large maps


def test_a_large_map_is_drawn_without_a_matrix_of_it() -> None:
    """3,025 areas x 5 times, whose covariance would take 1.8 GB: twelve draws in a second or two.

    Exactly the mixture of what the processes' own samplers draw.
    """
    found = build(space_time(CAR, AR, 5), lattice(55, 55))
    start = time.process_time()
    sampler = build_sampler(found)
    assert isinstance(sampler, LatentSampler)
    part = build_sampler(found.processes[0])
    assert isinstance(part, PolynomialSampler)
    assert sampler.latent_dim == 5 * 3025 and sampler.error == part.error <= 1e-5
    rng = np.random.default_rng(2)
    z = rng.standard_normal((12, sampler.latent_dim))
    hyper = {"alpha": np.linspace(0.1, 0.98, 12), "phi": np.linspace(-0.5, 0.95, 12)}
    fields = sampler.draw(z, hyper).reshape(12, 5, 3025)
    assert time.process_time() - start < 20
    assert "eigenbasis" not in vars(found) and "eigenbasis" not in vars(found.processes[0])
    own = [part.draw(z[:, q * 3025 : (q + 1) * 3025], {"alpha": hyper["alpha"]}) for q in range(5)]
    phi = hyper["phi"][:, None]
    before = own[0]
    np.testing.assert_allclose(fields[:, 0], before, atol=1e-12)
    for index in range(1, 5):
        before = phi * before + np.sqrt(1 - phi**2) * own[index]
        np.testing.assert_allclose(fields[:, index], before, atol=1e-10)


# Configuration


def run_of(process: dict[str, Any]) -> RunConfig:
    record = {
        "name": "x", "seed": 1, "areas": {"source": "grid:3x3"}, "process": process,
        "model": {"type": "reference"},
    }  # fmt: skip
    return parse_config(record, "x.yaml")


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (space_time(CAR, AR, [1, 2, 4]), "`temporal: ar1` goes from one time to the next.*1, 2, 4"),
        (space_time(CAR, "rw1", [1, 3, 2]), "process.times: times must ascend"),
        (space_time(CAR, "rw1", 1), "process.times: .*at least two times .got 1"),
        (space_time(CAR, "rw1", [2001]), "process.times: .*at least two times .got 1"),
        (space_time(CAR, "rw2", 2), "rw2` needs at least three times .got 2"),
        (space_time(CAR, "rw3"), "process.temporal: expected one of ar1, rw1, rw2"),
        (space_time(CAR, AR | {"phi": 1}), "process.temporal.phi: phi must stay between -1 and 1"),
        (
            space_time(CAR, AR | {"phi": PHI | {"low": -1.2}}),
            "process.temporal.phi: phi must stay between -1 and 1 .got -1.2 to 0.99",
        ),
        (space_time({"kind": "cra"}, AR), "process.spatial: expected one of gp, car.*'car'"),
        (space_time(CAR | {"alpha": 2}, AR), "process.spatial.alpha: alpha must stay below 1"),
        ({"kind": "space-time", "times": 3, "spatial": CAR}, "needs `spatial` and `temporal`"),
        (SHARED, "`shares` lacks hiv, tb"),
        (SHARED | {"shares": {"hiv": 0.5}}, "`shares` lacks tb"),
        (SHARED | {"shares": SHARES | {"hvi": 0.5}}, "unknown outcome 'hvi' .did you mean 'hiv'"),
        (SHARED | {"shares": SHARES | {"tb": 1.5}}, "process.shares.tb: .*at most 1 .got 1.5"),
        (SHARED | {"shares": SHARES | {"tb": -0.1}}, "process.shares.tb: .*not be negative"),
        (SHARED | {"shares": SHARES, "outcomes": ["hiv"]}, "at least two different outcomes"),
        (SHARED | {"shares": SHARES, "components": [CAR, CAR]}, "keep one of the two forms"),
        (
            SHARED | {"shares": SHARES, "loadings": {"hiv": [1]}},
            "`loadings` belong to `components`",
        ),
        (LINEAR | {"components": [CAR]}, "`components` needs at least two"),
        (LINEAR | {"components": []}, "needs `shared` and `shares`, or `components`"),
        (
            LINEAR | {"loadings": {"hiv": [1, 0], "tb": [LOADING, LOADING], "flu": [0, 1]}},
            "`loadings.tb`: only ratios of loadings count, so one of them must be a constant",
        ),
        (
            LINEAR | {"loadings": {"hiv": [1], "tb": [1, 1], "flu": [0, 1]}},
            "`loadings.hiv` needs one for each of the 2 components .got 1",
        ),
        (LINEAR | {"loadings": {"hiv": [1, 0], "tb": [1, 1]}}, "`loadings` lacks flu"),
    ],
)
def test_configurations_that_make_no_sense(process: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_of(process)


@pytest.mark.parametrize("kind", EVERY)
def test_a_record_of_the_configuration_gives_the_same_process(kind: str) -> None:
    config = run_of(EVERY[kind]).process
    again = read_process(config.model_dump(mode="json"))
    assert again == config


def test_a_process_that_cannot_live_on_the_map_is_refused() -> None:
    with pytest.raises(ProcessError, match="a car needs a neighbour for every area"):
        build(EVERY["ar1 x car"], two_lattices_and_an_island())
    with pytest.raises(ProcessError, match="a gp needs centroids"):
        build(LINEAR, replace(lattice(3, 4), centroids=None))
    extents = LINEAR["components"]
    assert isinstance(extents, list)
    with pytest.raises(ConfigError, match=r"process.components.0.lengthscale.unit: `extent` needs"):
        build(LINEAR, replace(lattice(3, 4), centroids=None, extent=None))
