"""Simulators as users write them, in modules of their own on disk."""

import itertools
import sys
import textwrap
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from priorvae.areas.types import Areas
from priorvae.config import FunctionConfig
from priorvae.processes.function import FunctionProcess, build_function

# A Gaussian moving average along the areas, exponentiated; 20 areas.
LOGNORMAL = """
    import jax
    import jax.numpy as jnp

    AREAS = 20

    def draw(key, hyper):
        e = jax.random.normal(key, (AREAS + 1,))
        w = hyper["w"]
        return jnp.exp(hyper["sigma"] * (e[:-1] + w * e[1:]) / jnp.sqrt(1 + w**2))
"""
# Counts with a probability that all areas share: beta-binomial, as shares of 30; 20 areas.
BETA_BINOMIAL = """
    import jax
    import numpy as np

    def draw(key, hyper):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        return rng.binomial(30, rng.beta(hyper["a"], 3.0), size=20) / 30
"""
W = {"distribution": "uniform", "low": 0.0, "high": 1.0}
SIGMA = {"distribution": "constant", "value": 0.5}
A = {"distribution": "loguniform", "low": 1.0, "high": 9.0}
_NUMBERS = itertools.count()


@contextmanager
def user_module(directory: Path, text: str) -> Iterator[str]:
    """Write a module of a name of its own into a directory; yield the name; forget it."""
    name = f"simulator_{next(_NUMBERS)}"
    (directory / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    try:
        yield name
    finally:
        sys.modules.pop(name, None)


def build(directory: Path, text: str, areas: Areas, **hypers: Any) -> FunctionProcess:
    """Build the process of the function `draw` in a module of this text."""
    with user_module(directory, text) as name, chdir(directory):
        return build_named(f"{name}:draw", areas, **hypers)


def build_named(function: str, areas: Areas, **hypers: Any) -> FunctionProcess:
    config = FunctionConfig(kind="function", function=function, hyperparameters=hypers)
    return build_function(config, areas)


def lognormal_moments(w: float, sigma: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance: those of `exp` of normals with variance sigma^2."""
    correlation = np.eye(20) + w / (1 + w**2) * (np.eye(20, k=1) + np.eye(20, k=-1))
    scale = np.exp(sigma**2)
    return np.full(20, np.sqrt(scale)), scale * np.expm1(sigma**2 * correlation)


def beta_binomial_moments(a: float, b: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, by the laws of total expectation and covariance."""
    mean = a / (a + b)
    shared = mean * (1 - mean) / (a + b + 1)
    own = (mean * (1 - mean) - shared) / 30
    return np.full(20, mean), np.full((20, 20), shared) + own * np.eye(20)
