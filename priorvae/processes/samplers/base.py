"""What a sampler is: a way to draw many fields, each with hyperparameters of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import jax

__all__ = ["Hypers", "LatentSampler", "Sampler", "one_by_one"]

_MOST_NORMALS = 2**24

Hypers = Mapping[str, np.ndarray]
"""Each hyperparameter's values, one for each draw."""


class Sampler(Protocol):
    """Draws fields of one process."""

    @property
    def name(self) -> str:
        """As on the command line and in records."""
        ...

    @property
    def error(self) -> float:
        """Largest relative error of the root that it applies; zero where exact up to rounding."""
        ...

    def sample(self, key: jax.Array, hyper: Hypers, num_draws: int) -> np.ndarray:
        """Draw fields `(draw, size)`, float64, each with its own hyperparameters."""
        ...


class LatentSampler(ABC):
    """A sampler that maps independent normals to a field: linear in them for given theta."""

    name: str

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Normals a draw consumes."""

    @property
    @abstractmethod
    def error(self) -> float:
        """Largest relative error of the root; zero where exact up to rounding."""

    @abstractmethod
    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Map normals `z (draw, latent)` to fields `(draw, size)`, float64."""

    def sample(self, key: jax.Array, hyper: Hypers, num_draws: int) -> np.ndarray:
        """Draw normals, float32 as JAX draws them, and map them to fields `(draw, size)`.

        So many normals that they would fill the memory are drawn in parts, each with its own key.
        """
        import jax

        most = max(1, _MOST_NORMALS // self.latent_dim)
        if num_draws > most:
            parts = [slice(start, start + most) for start in range(0, num_draws, most)]
            fields = [
                self.sample(
                    jax.random.fold_in(key, part.start),
                    {name: values[part] for name, values in hyper.items()},
                    min(most, num_draws - part.start),
                )
                for part in parts
            ]
            return np.concatenate(fields)
        z = jax.random.normal(key, (num_draws, self.latent_dim), np.float32)
        return self.draw(np.asarray(z, dtype=np.float64), hyper)


def one_by_one(hyper: Hypers, num_draws: int) -> list[dict[str, float]]:
    """Return each draw's hyperparameters as numbers."""
    return [
        {name: float(values[index]) for name, values in hyper.items()} for index in range(num_draws)
    ]
