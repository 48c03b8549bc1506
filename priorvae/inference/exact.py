"""The process itself as a spatial prior: exact inference, for comparison and for small maps."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from priorvae.errors import ProcessError
from priorvae.processes import Condition
from priorvae.processes.base import Gaussian

__all__ = ["ExactPrior"]

_SMALLEST_PIVOT = 1e-7
"""Of the largest: a singular matrix that rounding carries through the factorisation is below."""


@dataclass(frozen=True, eq=False)
class ExactPrior:
    """A Gaussian process in its non-centred form, `f = R(theta) z` with `R R' = K(theta)`.

    Without an eigenbasis `R` is the Cholesky factor: every evaluation factorises an `(area, area)`
    matrix, the cost that a decoder avoids. With one (the CAR family) an evaluation is a gate and
    one or two products; `R` need not be square, and `K` may be singular.

    Attributes:
        process: The process itself.

    Raises:
        ProcessError: JAX computes in float32, in which a smooth kernel's covariance is singular; or
            the covariance is singular in itself, and there is no eigenbasis to replace Cholesky's
            factor.
    """

    process: Gaussian

    def __post_init__(self) -> None:
        if not jax.config.read("jax_enable_x64"):
            raise ProcessError(
                "exact inference works on covariances that need float64, and JAX is set to "
                "float32; call numpyro.enable_x64() at the start of the program"
            )
        if self.process.eigenbasis is None:
            _require_definite(self.process)

    @property
    def area_ids(self) -> tuple[str, ...]:
        """Identifiers of the areas, in the order of `f`, or of each layer of it."""
        return self.process.areas.ids

    @property
    def sites(self) -> tuple[str, ...]:
        """A name for each value of `f`: the area's id, or `layer/id` where there are layers."""
        return self.process.sites

    @property
    def latent_dim(self) -> int:
        """Length of `z`: one latent per area, or the rank of a singular covariance."""
        basis = self.process.eigenbasis
        if basis is None:
            return self.process.size
        return basis.right.shape[0 if basis.orthonormal else 1]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The process's free hyperparameters."""
        return self.process.conditions

    def decode(self, z: jax.Array, hyper: Mapping[str, ArrayLike]) -> jax.Array:
        """Return `R(theta) z`, `(area,)`, for `z`, `(latent,)`."""
        basis = self.process.eigenbasis
        if basis is None:
            return jnp.linalg.cholesky(self.process.covariance_jax(hyper)) @ z
        inner = z if basis.orthonormal else jnp.asarray(basis.right) @ z
        return jnp.asarray(basis.left) @ (basis.gate(hyper) * inner)


def _require_definite(process: Gaussian) -> None:
    """Refuse a covariance without a Cholesky factor, which would give NaN at every step."""
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    try:
        pivots = np.diag(np.linalg.cholesky(process.covariance(middle)))
        singular = pivots.min() < _SMALLEST_PIVOT * pivots.max()
    except np.linalg.LinAlgError:
        singular = True
    if singular:
        raise ProcessError(
            f"the covariance of {process.kind} on this map is singular (areas determine one "
            "another, as those of nested boundary systems do), and exact inference needs its "
            "Cholesky factor; use a decoder, or a map of one system"
        )
