"""A decoder linear in its latents, given by any matrix: right, or wrong on purpose."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from priorvae.processes import GP


class Linear:
    """A decoder given by its matrix, `f = A(theta) z`.

    Where `is_linear` is hidden, a last latent without effect leaves its fields no known density.
    """

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
        middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
        self.latent_dim = matrix(middle).shape[1] + (not is_linear)

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        return self._matrix(hyper)

    def decode(self, z: jax.Array, hyper: Mapping[str, float]) -> jax.Array:
        matrix = self._matrix(hyper)
        return matrix @ z[: matrix.shape[1]]

    def sample(self, key: jax.Array, hyper: Mapping[str, float], num_draws: int) -> jax.Array:
        matrix = self._matrix(hyper)
        return jax.random.normal(key, (num_draws, matrix.shape[1])) @ matrix.T
