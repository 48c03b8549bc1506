"""A decoder linear in its latents, given by any matrix: right, or wrong on purpose."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from priorvae.processes import GP


class Linear:
    """A decoder given by its matrix, `f = A(theta) z`; `is_linear` may be hidden."""

    def __init__(
        self,
        process: GP,
        matrix: Callable[[Mapping[str, float]], np.ndarray],
        is_linear: bool = True,
    ) -> None:
        self.sites = process.sites
        self.conditions = process.conditions
        self.is_linear = is_linear
        self._matrix = matrix

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        return self._matrix(hyper)

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> jax.Array:
        matrix = self._matrix(hyper)
        return jax.random.normal(key, (num_draws, matrix.shape[1])) @ matrix.T
