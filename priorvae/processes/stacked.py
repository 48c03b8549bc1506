"""Layers of one map: times, or outcomes, mixed from independent fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.processes.base import Eigenbasis, Gaussian, Hyper, Layers
from priorvae.processes.conditions import Condition
from priorvae.processes.mixing import Mixing, Terms, array_module

if TYPE_CHECKING:
    import jax

__all__ = ["Stacked"]


@final
@dataclass(frozen=True, eq=False)
class Stacked(Gaussian):
    """`f[l] = sum_q M(theta)[l, q] u_q`: layers mixed from independent fields `u_q`.

    Each `u_q` is a draw of one of the `processes`, all on one map. With `M_k` the columns of `M`
    whose fields process k draws, and `K_k` its covariance,

        cov(f) = sum_k (M_k M_k') kron K_k.

    One process and an autoregression for `M` make separable space-time; several outcomes are
    shared components or linear coregionalisation.

    Hyperparameters are those of the processes, which are numbered where there are several
    (`lengthscale_1`, `alpha_2`), then those of the mixing.

    Attributes:
        kind: `space-time` or `multivariate`.
        layers: The times, or the outcomes.
        mixing: `M`, and which process draws each field.
        processes: Processes on one map.
    """

    kind: str
    layers: Layers = field()
    mixing: Mixing
    processes: tuple[Gaussian, ...]
    areas: Areas = field(init=False)
    conditions: tuple[Condition, ...] = field(init=False)
    fixed: Mapping[str, float] = field(init=False)
    nugget: float = field(init=False)

    def __post_init__(self) -> None:
        conditions, fixed = list[Condition](), dict[str, float]()
        for index, process in enumerate(self.processes):
            conditions += [replace(c, name=self._named(c.name, index)) for c in process.conditions]
            fixed |= {self._named(name, index): value for name, value in process.fixed.items()}
        derived = {
            "areas": self.processes[0].areas,
            "conditions": (*conditions, *self.mixing.conditions),
            "fixed": {**fixed, **self.mixing.fixed},
            # Layers have about unit variance, so a nugget passes through a mixing as it is.
            "nugget": max(process.nugget for process in self.processes),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def own_hyper(self, index: int, hyper: Hyper) -> dict[str, Any]:
        """Return the free hyperparameters of one process by the names it gives them."""
        own = self.processes[index].conditions
        return {c.name: hyper[self._named(c.name, index)] for c in own}

    def covariance(self, hyper: Hyper) -> np.ndarray:
        """Return `sum_k (M_k M_k') kron K_k` in float64."""
        total = np.zeros((self.size, self.size))
        for index, process in enumerate(self.processes):
            mix = self._columns(index, hyper)
            total += np.kron(mix @ mix.T, process.covariance(self.own_hyper(index, hyper)))
        return total

    def covariance_jax(self, hyper: Hyper) -> jax.Array:
        """Return the same covariance as a traceable JAX array in the default float type."""
        import jax.numpy as jnp

        total = jnp.zeros((self.size, self.size))
        for index, process in enumerate(self.processes):
            mix = jnp.asarray(self._columns(index, hyper))
            total += jnp.kron(mix @ mix.T, process.covariance_jax(self.own_hyper(index, hyper)))
        return total

    def root(self, hyper: Hyper) -> np.ndarray:
        """Return blocks `M[l, q] R_q`, or those of the eigenbasis; it need not be square."""
        basis = self.eigenbasis
        if basis is not None:
            return (basis.left * basis.gate(hyper)) @ basis.right
        mix = self.mixing.matrix(hyper)
        roots = [p.root(self.own_hyper(index, hyper)) for index, p in enumerate(self.processes)]
        blocks = [
            np.kron(mix[:, [column]], roots[owner])
            for column, owner in enumerate(self.mixing.owners)
        ]
        return np.concatenate(blocks, axis=1)

    @cached_property
    def eigenbasis(self) -> Eigenbasis | None:
        """The products of the mixing's terms with the processes' bases, if all of them have one.

        With `L_k diag(g_k) V_k` the basis of the process that term h's field is drawn from, the
        term's part of it is `(left_h kron L_k) diag(gate_h g_k) (P_h kron V_k)`.
        """
        bases = [basis for p in self.processes if (basis := p.eigenbasis) is not None]
        if len(bases) < len(self.processes):
            return None
        terms = self.mixing.terms

        def gate(hyper: Hyper) -> Any:
            gates = [b.gate(self.own_hyper(index, hyper)) for index, b in enumerate(bases)]
            return _outer(terms.gate(hyper), [gates[owner] for owner in terms.owners])

        blocks = [
            np.kron(column[:, None], bases[owner].left)
            for column, owner in zip(terms.left.T, terms.owners, strict=True)
        ]
        once = len(set(terms.field)) == len(terms.field)
        return Eigenbasis(
            left=np.concatenate(blocks, axis=1),
            right=_placed(terms, [basis.right for basis in bases]),
            gate=gate,
            orthonormal=once and all(basis.orthonormal for basis in bases),
        )

    def _named(self, name: str, index: int) -> str:
        return name if len(self.processes) == 1 else f"{name}_{index + 1}"

    def _columns(self, index: int, hyper: Hyper) -> Any:
        """The columns of `M` whose fields one process draws."""
        return self.mixing.matrix(hyper)[:, np.equal(self.mixing.owners, index)]


def _outer(weights: Any, gates: list[Any]) -> Any:
    """Multiply each term's weight into its gate and join them, `(rank,)` or `(draw, rank)`."""
    pieces = [weights[..., h : h + 1] * gate for h, gate in enumerate(gates)]
    xp = array_module(*pieces)
    draws = np.broadcast_shapes(*(piece.shape[:-1] for piece in pieces))
    return xp.concatenate([xp.broadcast_to(p, (*draws, p.shape[-1])) for p in pieces], axis=-1)


def _placed(terms: Terms, rights: list[np.ndarray]) -> np.ndarray:
    """Put each term's `right` into the columns of the field it takes."""
    owner_of = dict(zip(terms.field, terms.owners, strict=True))
    widths = [rights[owner_of[index]].shape[1] for index in range(len(owner_of))]
    starts = np.cumsum([0, *widths])
    rows = []
    for index, owner in zip(terms.field, terms.owners, strict=True):
        row = np.zeros((len(rights[owner]), starts[-1]))
        row[:, starts[index] : starts[index + 1]] = rights[owner]
        rows.append(row)
    return np.concatenate(rows)
