"""Sparse factorisations against dense ones, on graphs with islands and without."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from priorvae.areas import Areas, read_areas
from priorvae.errors import ProcessError
from priorvae.processes import ICAR, Condition, Leroux, ProperCAR
from priorvae.processes.graph import incidence, laplacian
from priorvae.processes.intrinsic import Intrinsic
from priorvae.processes.samplers.polynomial import PolynomialSampler
from priorvae.processes.sparse import factorise, inverse_diagonal
from tests.maps import lattice, triangulation, two_lattices_and_an_island

MAPS = {
    "lattice": lambda: lattice(7, 9),
    "islands": two_lattices_and_an_island,
    "triangulation": lambda: triangulation(300),
    "tokyo": lambda: read_areas("builtin:tokyo", islands="keep"),
}


@pytest.fixture(params=MAPS)
def areas(request: pytest.FixtureRequest) -> Areas:
    return MAPS[request.param]()


def test_the_diagonal_of_the_inverse(areas: Areas) -> None:
    matrix = laplacian(areas) + 0.1 * sp.eye_array(len(areas))
    expected = np.diag(np.linalg.inv(matrix.toarray()))
    np.testing.assert_allclose(inverse_diagonal(sp.csr_array(matrix)), expected, rtol=1e-12)


def test_a_singular_matrix_is_refused() -> None:
    with pytest.raises(ProcessError, match="cannot be factorised"):
        factorise(sp.csr_array(np.diag([1.0, 0.0, 1.0])))


def test_incidence_factorises_the_laplacian(areas: Areas) -> None:
    matrix = incidence(areas)
    np.testing.assert_array_equal((matrix.T @ matrix).toarray(), laplacian(areas).toarray())
    unsigned = incidence(areas, signed=False)
    expected = np.diag(areas.degrees) + areas.adjacency.toarray()
    np.testing.assert_array_equal((unsigned.T @ unsigned).toarray(), expected)


def test_intrinsic_variances_are_those_of_the_pseudo_inverse(areas: Areas) -> None:
    """The dense pseudo-inverse component by component, and its geometric mean."""
    found = Intrinsic(areas)
    for label in range(areas.components.max() + 1):
        members = np.flatnonzero(areas.components == label)
        inside = laplacian(areas)[members][:, members].toarray()
        expected = np.diag(np.linalg.pinv(inside, hermitian=True))
        np.testing.assert_allclose(found.marginal_variances[members], expected, atol=1e-11)
        if len(members) > 1:
            scale = np.exp(np.log(expected).mean())
            np.testing.assert_allclose(found.scales[members], scale, rtol=1e-10)
            scaled = expected / found.scales[members]
            assert np.exp(np.log(scaled).mean()) == pytest.approx(1, abs=1e-6)
        else:
            assert found.scales[members] == 1


def test_intrinsic_fields_sum_to_zero_and_have_the_scaled_covariance(areas: Areas) -> None:
    found = Intrinsic(areas)
    root = found.field(np.eye(found.latent_dim))
    process = ICAR(areas)
    np.testing.assert_allclose(root @ root.T, process.covariance({}), atol=1e-9)
    for label in range(areas.components.max() + 1):
        members = areas.components == label
        if members.sum() > 1:
            np.testing.assert_allclose(root[members].sum(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "name", "transform"),
    [(ProperCAR, "alpha", "log1m"), (Leroux, "rho", "arcsine")],
)
def test_precisions_are_sparse_and_invert_the_covariance(
    kind: type[ProperCAR | Leroux], name: str, transform: str
) -> None:
    areas = lattice(5, 6)
    process = kind(areas, (Condition(name, "", 0.0, 0.95, transform, "uniform"),), {})
    for value in (0.0, 0.5, 0.95):
        precision = process.precision({name: value})
        expected = np.linalg.inv(process.covariance({name: value}))
        np.testing.assert_allclose(precision.toarray(), expected, atol=1e-10)
        apart = areas.adjacency.toarray() + np.eye(len(areas)) == 0
        assert not precision.toarray()[apart].any()


def test_a_sparse_factor_needs_alpha_above_minus_one() -> None:
    # A triangle's normalised adjacency has no eigenvalue below -1/2: alpha may reach -2.
    triangle = lattice(1, 3)
    edges = np.array([[0, 1], [0, 2], [1, 2]])
    areas = Areas(
        triangle.ids,
        triangle.names,
        edges,
        np.zeros(3, bool),
        None,
        None,
        None,
        triangle.provenance,
    )
    process = ProperCAR(areas, (), {"alpha": -1.5})
    assert np.linalg.eigvalsh(process.covariance({})).min() > 0
    with pytest.raises(ProcessError, match="alpha above -1"):
        process.precision({})
    with pytest.raises(ProcessError, match=r"alpha must lie in \(-2, 1\)"):
        ProperCAR(areas, (), {"alpha": -2.5})


def test_the_polynomial_runs_on_jax_as_on_scipy() -> None:
    areas = lattice(5, 6)
    process = ProperCAR(areas, (Condition("alpha", "", 0.0, 0.9, "log1m", "uniform"),), {})
    sampler = PolynomialSampler(process)
    rng = np.random.default_rng(0)
    z, hyper = rng.standard_normal((8, 30)), {"alpha": rng.uniform(0, 0.9, 8)}
    on_device = sampler.draw_on(z, hyper, sampler._doubled_on_device)
    np.testing.assert_allclose(on_device, sampler.draw(z, hyper), atol=1e-12)


def test_a_polynomial_of_too_many_terms_is_refused() -> None:
    near_one = Condition("alpha", "", 0.0, 1 - 1e-7, "log1m", "uniform")
    with pytest.raises(ProcessError, match=r"alpha up to 1.*use `sparse-cholesky`"):
        _ = PolynomialSampler(ProperCAR(lattice(4, 5), (near_one,), {})).error


def test_the_scale_of_scotland_is_the_published_one(repository: Path) -> None:
    """0.4853175 in the Stan case study of Morris et al., whose INLA adds 1.5e-8 of the diagonal."""
    edges = repository / "tests" / "data" / "scotland-edges.csv"
    assert Intrinsic(read_areas(edges)).scales == pytest.approx(0.4853175, rel=1e-5)
