"""The sampler of layered processes: fields by their own samplers, mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from priorvae.errors import ProcessError
from priorvae.processes.samplers.base import Hypers, LatentSampler
from priorvae.processes.stacked import Stacked

__all__ = ["KroneckerSampler"]


@final
@dataclass(frozen=True, eq=False)
class KroneckerSampler(LatentSampler):
    """`f[l] = sum_q M(theta)[l, q] u_q`: no matrix is longer than the map, however many layers.

    Attributes:
        process: What is drawn.
        parts: A sampler for each of its processes.

    Raises:
        ProcessError: The process has no layers that are mixed from independent fields.
    """

    process: Stacked
    parts: tuple[LatentSampler, ...]
    name: str = "kronecker"

    def __post_init__(self) -> None:
        if not isinstance(self.process, Stacked):
            raise ProcessError(
                f"sampler `{self.name}`: {self.process.kind} is not mixed from independent fields"
            )

    @property
    def latent_dim(self) -> int:
        """Those of every field together."""
        return sum(self.parts[owner].latent_dim for owner in self.process.mixing.owners)

    @property
    def error(self) -> float:
        """The worst of the processes' samplers."""
        return max(part.error for part in self.parts)

    def draw(self, z: np.ndarray, hyper: Hypers) -> np.ndarray:
        """Return the mixed fields of `z (draw, latent)`, `(draw, size)`."""
        process, num = self.process, len(z)
        mix = process.mixing.matrix({name: values[:, None] for name, values in hyper.items()})
        mix = np.broadcast_to(mix, (num, *mix.shape[-2:]))
        hypers = [process.own_hyper(index, hyper) for index in range(len(self.parts))]
        fields = np.zeros((num, process.num_layers, len(process.areas)))
        start = 0
        for column, owner in enumerate(process.mixing.owners):
            part = self.parts[owner]
            own = z[:, start : start + part.latent_dim]
            fields += mix[:, :, column, None] * part.draw(own, hypers[owner])[:, None]
            start += part.latent_dim
        return fields.reshape(num, -1)
