"""Settings of every test, and a guard against tests that leave something behind."""

import os
import sys

# JAX reads these when it is first imported, here or in a subprocess of a test.
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
os.environ["MPLBACKEND"] = "Agg"
# Two workers whose matrix products each start a thread for every core wait for one another.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import priorvae.pipeline  # noqa: F401  what it imports sets environment variables, once

# The same examples on every run; and no deadline, for JAX compiles during the first one.
settings.register_profile("priorvae", derandomize=True, deadline=None, database=None)
settings.load_profile("priorvae")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def leaks_nothing() -> Iterator[None]:
    """Fail a test that changes what the next one would see."""
    before = _global_state()
    yield
    after = _global_state()
    # A module that the test was the first to import is no leak.
    leaks = [name for name in before if before[name] != after[name]]
    assert not leaks, f"the test changed global state and left it so: {', '.join(leaks)}"


def _global_state() -> dict[str, Any]:
    """Return what tests could change for one another, of the modules imported so far."""
    _, keys, position, *_ = np.random.get_state()
    state: dict[str, Any] = {
        "working directory": Path.cwd(),
        "environment": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
        "NumPy's global generator": (bytes(keys), position),
    }
    if "jax" in sys.modules:
        state["JAX's configuration"] = dict(sys.modules["jax"].config.values)
    if "matplotlib.pyplot" in sys.modules:
        state["open figures"] = sys.modules["matplotlib.pyplot"].get_fignums()
    return state
