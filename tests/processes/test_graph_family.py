"""The CAR family on graphs with islands and components, against its definitions."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from libpysal.weights import Queen

from priorvae.areas.builtin import builtin_data
from priorvae.areas.types import Areas, Provenance
from priorvae.config import ProcessConfig, RunConfig, parse_config
from priorvae.decoders import numpy_backend
from priorvae.errors import ConfigError, ProcessError
from priorvae.objectives import reference_decoder
from priorvae.objectives.axes import has_axes, latent_axes
from priorvae.processes import BYM2, ICAR, SAR, Condition, Gaussian, Leroux, build_process
from priorvae.processes.samplers import build_sampler
from priorvae.processes.spectral import Spectral
from tests.maps import lattice

UNIFORM = {"distribution": "uniform", "low": 0.0}
PROCESSES = {
    "car": {"kind": "car", "alpha": {**UNIFORM, "high": 0.99}},
    "sar": {"kind": "sar", "rho": {**UNIFORM, "high": 0.9}},
    "leroux": {"kind": "leroux", "rho": {**UNIFORM, "high": 0.99}},
    "icar": {"kind": "icar"},
    "bym2": {"kind": "bym2", "rho": {**UNIFORM, "high": 1.0}},
}
ISLANDERS = ("leroux", "icar", "bym2")


def config_of(process: dict) -> RunConfig:
    return parse_config(
        {"name": "x", "seed": 1, "areas": {"source": "grid:3"}, "process": process,
         "model": {"type": "reference"}},
        "config.yaml",
    )  # fmt: skip


def configured(kind: str) -> ProcessConfig:
    return config_of(PROCESSES[kind]).process


def adjacency_alone(edges: np.ndarray, num_areas: int) -> Areas:
    ids = tuple(f"a{i:03d}" for i in range(num_areas))
    return Areas(
        ids=ids, names=ids, edges=edges, bridge=np.zeros(len(edges), bool), centroids=None,
        extent=None, crs=None, provenance=Provenance("edges.csv"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def archipelago() -> Areas:
    """A 4 x 5 lattice, a triangle, a pair, and two areas alone."""
    extra = [[20, 21], [20, 22], [21, 22], [23, 24]]
    return adjacency_alone(np.concatenate([lattice(4, 5).edges, extra]), 27)


@pytest.fixture(scope="module")
def tokyo() -> Areas:
    """Tokyo by shared vertices: 262 areas in 23 components, 10 of them alone."""
    weights = Queen.from_dataframe(
        builtin_data("tokyo").reset_index(drop=True), use_index=False, silence_warnings=True
    )
    pairs = {(min(i, j), max(i, j)) for i, near in weights.neighbors.items() for j in near}
    areas = adjacency_alone(np.array(sorted(pairs)), 262)
    assert areas.components.max() + 1 == 23
    assert (areas.degrees == 0).sum() == 10
    return areas


@pytest.fixture(scope="module", params=sorted(PROCESSES))
def process(request: pytest.FixtureRequest, archipelago: Areas) -> Gaussian:
    areas = archipelago if request.param in ISLANDERS else lattice(5, 6)
    return build_process(configured(request.param), areas)


def hypers(process: Gaussian, num: int = 5) -> list[dict[str, float]]:
    if not process.conditions:
        return [{}]
    (condition,) = process.conditions
    return [{condition.name: float(v)} for v in condition.grid(num)]


def laplacian(areas: Areas) -> np.ndarray:
    return np.diag(areas.degrees) - areas.adjacency.toarray()


def components(areas: Areas) -> Iterator[np.ndarray]:
    for label in range(areas.components.max() + 1):
        yield np.flatnonzero(areas.components == label)


def test_root_squares_to_the_covariance(process: Gaussian) -> None:
    for hyper in hypers(process):
        root = process.root(hyper)
        np.testing.assert_allclose(root @ root.T, process.covariance(hyper), atol=1e-12)
        np.testing.assert_allclose(
            process.covariance_jax(hyper), process.covariance(hyper), atol=1e-12
        )


def test_draws_have_the_covariance(process: Gaussian) -> None:
    """200,000 draws; each entry within 5.5 standard errors (n <= 900 entries, alpha 3e-5)."""
    hyper, num = hypers(process)[-1], 200_000
    draws = np.asarray(process.sample_batch(jax.random.key(0), hyper, num))
    expected = process.covariance(hyper)
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / num)
    assert (np.abs(draws.T @ draws / num - expected) < 5.5 * error).all()


def test_gradient_is_finite_within_the_range(process: Gaussian) -> None:
    for condition in process.conditions:
        slope = jax.jacobian(lambda v, c=condition: process.covariance_jax({c.name: v}))
        for unit in (-0.999, 0.0, 0.999):
            assert jnp.isfinite(slope(condition.from_unit(unit))).all()


def test_reference_decoder_holds_over_the_whole_range(process: Gaussian) -> None:
    """Between its nodes too: the transform makes the gate smooth, to both ends."""
    decoder, weights = reference_decoder(process)
    for hyper in hypers(process, 101):
        expected = process.root(hyper)
        if has_axes(process):
            expected = expected @ latent_axes(process)
        error = np.linalg.norm(numpy_backend.matrix(decoder, weights, hyper) - expected)
        assert error < 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", ["car", "leroux", "sar"])
def test_precision_is_the_definition_and_zero_without_an_edge(kind: str) -> None:
    process = build_process(configured(kind), lattice(5, 6))
    adjacency, n = process.areas.adjacency.toarray(), 30
    degrees = np.diag(process.areas.degrees)
    reach = np.eye(n) + adjacency
    for hyper in hypers(process):
        (value,) = hyper.values()
        standardised = np.eye(n) - value * adjacency / process.areas.degrees[:, None]
        expected = {
            "car": degrees - value * adjacency,
            "leroux": value * (degrees - adjacency) + (1 - value) * np.eye(n),
            "sar": standardised.T @ standardised,
        }[kind]
        precision = np.linalg.inv(process.covariance(hyper))
        np.testing.assert_allclose(precision, expected, atol=1e-8)
        # A SAR looks as far as neighbours of neighbours.
        allowed = reach @ reach if kind == "sar" else reach
        assert np.abs(precision[allowed == 0]).max() < 1e-8


def test_empirical_precision_is_zero_without_an_edge() -> None:
    """200,000 draws; entries of the inverse within 5 standard errors (n = 386, alpha 2e-4)."""
    process = build_process(configured("leroux"), lattice(5, 6))
    num = 200_000
    draws = np.asarray(process.sample_batch(jax.random.key(4), {"rho": 0.9}, num))
    precision = np.linalg.inv(draws.T @ draws / num)
    # The asymptotic variance of an entry of an inverse Wishart, where its mean is zero.
    error = np.sqrt(np.outer(np.diag(precision), np.diag(precision)) / num)
    apart = process.areas.adjacency.toarray() + np.eye(30) == 0
    assert (np.abs(precision) < 5 * error)[apart].all()


@pytest.mark.parametrize("graph", ["archipelago", "tokyo"])
def test_icar_is_scaled_and_sums_to_zero_in_each_component(
    graph: str, request: pytest.FixtureRequest
) -> None:
    areas = request.getfixturevalue(graph)
    covariance = ICAR(areas).covariance({})
    for members in components(areas):
        inside = covariance[np.ix_(members, members)]
        others = np.setdiff1d(np.arange(len(areas)), members)
        assert np.abs(covariance[np.ix_(members, others)]).max() < 1e-14
        assert np.exp(np.log(np.diag(inside)).mean()) == pytest.approx(1, abs=1e-6)
        if len(members) == 1:
            assert inside[0, 0] == 1.0
        else:
            assert np.abs(inside.sum(axis=0)).max() < 1e-10
    several = sum(len(members) > 1 for members in components(areas))
    assert np.linalg.matrix_rank(covariance) == len(areas) - several


def test_icar_is_the_scaled_pseudo_inverse_of_the_laplacian(tokyo: Areas) -> None:
    """By NumPy's singular value decomposition, which knows nothing of components."""
    covariance = ICAR(tokyo).covariance({})
    inverse = np.linalg.pinv(laplacian(tokyo), rcond=1e-10, hermitian=True)
    for members in components(tokyo):
        if len(members) > 1:
            block = inverse[np.ix_(members, members)]
            scale = np.exp(np.log(np.diag(block)).mean())
            np.testing.assert_allclose(
                covariance[np.ix_(members, members)], block / scale, atol=1e-9
            )


def test_icar_of_a_path_is_known_in_closed_form() -> None:
    """On a path of 3 the pseudo-inverse has diagonal (5, 2, 5) / 9: the scale is 50^(1/3) / 9."""
    diagonal = np.diag(ICAR(lattice(1, 3)).covariance({}))
    np.testing.assert_allclose(diagonal, np.array([5, 2, 5]) / 50 ** (1 / 3), rtol=1e-12)


def test_icar_density_within_its_range_is_the_pairwise_difference_form() -> None:
    """`-1/2 sum_ij (f_i - f_j)^2` of Besag et al. up to a constant, on one component."""
    areas = lattice(4, 5)
    process = ICAR(areas)
    inverse = np.linalg.pinv(process.covariance({}), rcond=1e-10, hermitian=True)
    scale = np.exp(np.log(np.diag(np.linalg.pinv(laplacian(areas)))).mean())
    for field in np.random.default_rng(0).normal(size=(3, 20)):
        i, j = areas.edges.T
        pairs = scale * np.sum((field[i] - field[j]) ** 2)
        np.testing.assert_allclose(field @ inverse @ field, pairs, rtol=1e-9)


def test_bym2_runs_from_independence_to_the_icar(tokyo: Areas) -> None:
    process = build_process(configured("bym2"), tokyo)
    icar = ICAR(tokyo).covariance({})
    np.testing.assert_allclose(process.covariance({"rho": 0.0}), np.eye(262), atol=1e-12)
    np.testing.assert_allclose(process.covariance({"rho": 1.0}), icar, atol=1e-12)
    np.testing.assert_allclose(
        process.covariance({"rho": 0.3}), 0.3 * icar + 0.7 * np.eye(262), atol=1e-12
    )
    alone = tokyo.degrees == 0
    np.testing.assert_allclose(np.diag(process.covariance({"rho": 0.6}))[alone], 1, atol=1e-12)


@pytest.mark.parametrize("kind", ["leroux", "sar", "bym2"])
def test_rho_of_zero_is_independence(kind: str) -> None:
    process = build_process(configured(kind), lattice(4, 4))
    np.testing.assert_allclose(process.covariance({"rho": 0.0}), np.eye(16), atol=1e-12)


def test_leroux_tends_to_the_unscaled_icar_between_the_components_means(
    archipelago: Areas,
) -> None:
    process = Leroux(archipelago, (), {"rho": 1 - 1e-8})
    covariance = process.covariance({})
    means = np.zeros((27, 27))
    for members in components(archipelago):
        means[np.ix_(members, members)] = 1 / len(members)
    centred = (np.eye(27) - means) @ covariance @ (np.eye(27) - means)
    inverse = np.linalg.pinv(laplacian(archipelago), rcond=1e-10, hermitian=True)
    np.testing.assert_allclose(centred, inverse, atol=1e-6)


def test_a_sars_factors_serve_every_rho() -> None:
    process = build_process(configured("sar"), lattice(3, 4))
    basis = process.eigenbasis
    assert basis is not None
    standardised = process.areas.adjacency.toarray() / process.areas.degrees[:, None]
    for hyper in hypers(process):
        expected = np.linalg.inv(np.eye(12) - hyper["rho"] * standardised)
        np.testing.assert_allclose(process.root(hyper), expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["car", "sar"])
def test_an_area_alone_is_refused(kind: str, archipelago: Areas) -> None:
    with pytest.raises(ProcessError, match=f"a {kind} needs a neighbour .* a025, a026"):
        build_process(configured(kind), archipelago)


def rho(low: float, high: float) -> tuple[Condition, ...]:
    return (Condition("rho", "", low, high, "arcsine", "uniform"),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a: Leroux(a, (), {"rho": 1.0}), r"leroux: rho must lie in \[0, 1\)"),
        (lambda a: Leroux(a, rho(-0.1, 0.9), {}), r"leroux: rho must lie in \[0, 1\).*got -0.1"),
        (lambda a: Leroux(a, rho(0, 0.9999), {}), "up to 0.999 .got 0.9999.*kind: bym2"),
        (lambda a: BYM2(a, rho(-0.1, 0.9), {}), r"bym2: .* \[0, 1\], got -0.1"),
        (lambda a: BYM2(a, (), {"rho": 1.1}), r"bym2: .* \[0, 1\], got 1.1"),
        (lambda a: SAR(a, (), {"rho": 1.0}), r"sar: rho must lie in \(-1, 1\)"),
        (lambda a: SAR(a, rho(-1.2, 0.5), {}), r"sar: rho must lie in \(-1, 1\).*got -1.2"),
        (lambda a: ICAR(a, (), {"rho": 0.5}), "icar: has no hyperparameter, got rho"),
    ],
)
def test_a_rho_that_the_process_cannot_have_is_refused(make, message: str) -> None:
    with pytest.raises(ProcessError, match=message):
        make(lattice(3, 4))


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ({"kind": "leroux", "rho": {**UNIFORM, "high": 1}}, "process.rho: rho must stay below 1"),
        ({"kind": "sar", "rho": {**UNIFORM, "high": 1.5}}, "process.rho: rho must stay below 1"),
        ({"kind": "bym2", "rho": {**UNIFORM, "high": 1.5}}, "share of variance, at most 1"),
        (
            {"kind": "bym2", "rho": {"distribution": "constant", "value": -0.1}},
            "process.rho: rho must not be negative",
        ),
        ({"kind": "bym2", "rho": {**UNIFORM, "high": 1, "unit": "km"}}, "has no `unit`"),
        ({"kind": "bym2"}, "process.rho: required"),
        ({"kind": "bym2", "alpha": 1, "rho": {**UNIFORM, "high": 1}}, "process.alpha: unknown"),
        ({"kind": "icar", "rho": {**UNIFORM, "high": 0.9}}, "process.rho: unknown key"),
        ({"kind": "lerou", "rho": {**UNIFORM, "high": 0.9}}, "did you mean 'leroux'"),
        (
            {"kind": "bym2", "rho": {**UNIFORM, "distribution": "beta", "high": 1, "a": 0}},
            "process.rho.a: must be greater than 0",
        ),
    ],
)
def test_a_bad_configuration_says_where_and_why(process: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(process)


def test_a_beta_hyperprior_is_stretched_over_the_range() -> None:
    hyper = {**UNIFORM, "distribution": "beta", "high": 0.9, "a": 2.0, "b": 5.0}
    process = build_process(config_of({"kind": "leroux", "rho": hyper}).process, lattice(3, 4))
    (condition,) = process.conditions
    assert condition.transform == "arcsine" and condition.unit == ""
    quantiles = condition.quantile(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(quantiles, [0, 0.9 * 0.264449983, 0.9], atol=1e-8)


def test_the_eigenbasis_says_whether_it_rotates(process: Gaussian) -> None:
    basis = process.eigenbasis
    assert basis is not None
    gram = basis.right @ basis.right.T
    assert basis.orthonormal == np.allclose(gram, np.eye(len(gram)), atol=1e-10)


@pytest.mark.parametrize("name", ["eigenbasis", "interpolated-root"])
def test_samplers_follow_the_hyperparameters(process: Gaussian, name: str) -> None:
    """Unit normals, one at a time, give the columns of a root of the covariance."""
    sampler = build_sampler(process, name)
    for hyper in hypers(process):
        eye = np.eye(sampler.latent_dim)
        series = {name: np.full(len(eye), value) for name, value in hyper.items()}
        root, expected = sampler.draw(eye, series).T, process.covariance(hyper)
        error = np.linalg.norm(root @ root.T - expected) / np.linalg.norm(expected)
        assert error < 2.5 * sampler.error + 1e-6 < 3e-5


def test_every_process_says_on_which_scale_it_is_smooth(process: Gaussian) -> None:
    assert isinstance(process, Spectral)
    assert all(condition.transform == process.transform for condition in process.conditions)
