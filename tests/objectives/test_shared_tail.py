"""The start of large maps against the roots it stands for."""

import numpy as np
import pytest

from priorvae.objectives.shared_tail import core_size, fit_with_shared_tail


def matern_roots(side: int) -> np.ndarray:
    """Symmetric roots of a Matern-3/2 on a grid, at eight lengthscales from .05 to 1."""
    places = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, side)]), axis=-1).reshape(-1, 2)
    distances = np.sqrt(3) * np.linalg.norm(places[:, None] - places, axis=-1)
    roots = []
    for lengthscale in np.geomspace(0.05, 1, 8):
        scaled = distances / lengthscale
        values, vectors = np.linalg.eigh((1 + scaled) * np.exp(-scaled))
        roots.append(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)
    return np.array(roots)


def test_it_approaches_the_roots_as_the_core_grows() -> None:
    """With half of the directions in the core the roots are met to 1.5 %, with all to .1 %."""
    roots = matern_roots(10)
    axes = np.linalg.eigh(roots[4])[1][:, ::-1]
    errors = []
    for core in (7, 25, 50, 100):
        rng = np.random.default_rng(0)
        fitted = fit_with_shared_tail(roots, axes, 100 + core, 100, rng, core)
        assert fitted.left.shape == (100, 100 + core) and fitted.right.shape == (100 + core, 100)
        np.testing.assert_array_equal(fitted.right[:100], np.eye(100))
        assert not fitted.right[100:, core:].any()
        errors.append(fitted.error(roots @ axes))
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.015 and errors[3] < 0.001


def test_what_lies_outside_the_core_is_exact_where_nothing_turns() -> None:
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    gates = np.sort(rng.uniform(0.1, 3, size=(20,)))[::-1] * rng.uniform(0.9, 1.1, size=(6, 1))
    roots = np.einsum("ih,th,jh->tij", basis, gates, basis)
    fitted = fit_with_shared_tail(roots, basis, 24, 100, rng, core=4)
    assert fitted.error(roots @ basis) < 1e-7


@pytest.mark.parametrize(("areas", "core"), [(159, 159), (600, 600), (3100, 600)])
def test_small_maps_are_all_core(areas: int, core: int) -> None:
    assert core_size(areas) == core
