import numpy as np
import pytest

from priorvae.areas import Areas, read_areas
from priorvae.processes import GP, Condition


@pytest.fixture(scope="session")
def grid() -> Areas:
    return read_areas("grid:6x6")


@pytest.fixture(scope="session")
def lengthscale(grid: Areas) -> Condition:
    assert grid.extent is not None
    low, high = 0.1 * grid.extent, grid.extent
    return Condition("lengthscale", "km", low, high, "log", "loguniform")


@pytest.fixture(scope="session")
def process(grid: Areas, lengthscale: Condition) -> GP:
    return GP(grid, "matern32", (lengthscale,), {}, 1e-6)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
