"""Where training starts: a gated linear decoder fitted to the symmetric root.

The roots `R(theta_t)` at Chebyshev nodes form a three-way array. A gated linear decoder,
`sum_h W2[:, h] g_h(theta) W1[h, :]`, is its canonical polyadic decomposition of rank `hidden`,
so alternating least squares fits it in closed-form sweeps where a gradient method crawls along the
small eigenvalues.

Source: Kolda and Bader (2009), Tensor Decompositions and Applications, SIAM Review 51, section 3.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Factors", "alternating_least_squares", "leading_columns", "leading_directions"]

_EXACT = 1e-7
"""Relative error below which sweeps would only add rounding."""


class Factors(NamedTuple):
    """`R[t] ~= left diag(gates[t]) right`."""

    left: np.ndarray
    """Shape `(area, hidden)`."""
    gates: np.ndarray
    """Shape `(node, hidden)`."""
    right: np.ndarray
    """Shape `(hidden, latent)`."""

    def error(self, roots: np.ndarray) -> float:
        """Return the relative Frobenius error over all nodes."""
        fitted = np.einsum("ih,th,hj->tij", self.left, self.gates, self.right, optimize=True)
        return float(np.linalg.norm(fitted - roots) / np.linalg.norm(roots))


def alternating_least_squares(
    roots: np.ndarray,
    hidden: int,
    sweeps: int,
    rng: np.random.Generator,
    basis: tuple[np.ndarray, np.ndarray] | None = None,
) -> Factors:
    """Decompose `roots` `(node, area, latent)` into `hidden` gated rank-one terms, float64.

    A ridge that decays with the sweeps keeps early factors from running off to opposite
    infinities (the degeneracy of section 3.3 in the source).

    Args:
        roots: What to fit.
        hidden: Number of terms.
        sweeps: Passes over the three factors.
        rng: Source of the random terms to start from.
        basis: `left` and `right` to start from, where the roots share them: with as many terms,
            only the gates are left to find. Otherwise singular vectors of the mean root.
    """
    num_nodes = len(roots)
    factors = _start(roots, hidden, rng, basis)
    rotation, roots = _compressed(roots)
    factors = factors._replace(gates=rotation.T @ factors.gates)
    if basis is not None:
        left, _, right = factors
        factors = Factors(left, _best_gates(_projected(roots, left), left, right, 1e-9), right)
        if factors.error(roots) < _EXACT:
            return factors._replace(gates=rotation @ factors.gates)
    for sweep in range(sweeps):
        ridge = max(1e-3 * 0.9**sweep, 1e-9)
        left, gates, right = factors
        by_right = np.einsum("tij,hj->tih", roots, right, optimize=True)
        target = np.einsum("tih,th->ih", by_right, gates)
        left = _solve((right @ right.T) * (gates.T @ gates), target.T, ridge).T
        by_left = _projected(roots, left)
        target = np.einsum("thj,th->hj", by_left, gates)
        right = _solve((left.T @ left) * (gates.T @ gates), target, ridge)
        gates = _best_gates(by_left, left, right, ridge)
        factors = _balance(Factors(left, gates, right), num_nodes)
    return factors._replace(gates=rotation @ factors.gates)


def leading_columns(roots: np.ndarray, latent_dim: int) -> np.ndarray:
    """Rotate the roots' columns and keep those `latent_dim` with the most variance on average."""
    return roots if latent_dim == roots.shape[-1] else roots @ leading_directions(roots, latent_dim)


def leading_directions(roots: np.ndarray, latent_dim: int) -> np.ndarray:
    """Return the rotation to those columns, `(column, latent)`; more than there are stay zero."""
    columns = roots.shape[-1]
    if latent_dim >= columns:
        return np.eye(columns, latent_dim)
    _, vectors = np.linalg.eigh(np.einsum("tij,tik->jk", roots, roots, optimize=True))
    return vectors[:, ::-1][:, :latent_dim]


def _projected(roots: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the roots' rows in the directions of `left`, `(node, hidden, latent)`."""
    return np.einsum("tij,ih->thj", roots, left, optimize=True)


def _best_gates(
    by_left: np.ndarray, left: np.ndarray, right: np.ndarray, ridge: float
) -> np.ndarray:
    target = np.einsum("thj,hj->th", by_left, right)
    return _solve((left.T @ left) * (right @ right.T), target.T, ridge).T


def _start(
    roots: np.ndarray,
    hidden: int,
    rng: np.random.Generator,
    basis: tuple[np.ndarray, np.ndarray] | None,
) -> Factors:
    """Known directions first, then random terms."""
    nodes, areas, latents = roots.shape
    left = rng.normal(size=(areas, hidden)) / np.sqrt(areas)
    right = rng.normal(size=(hidden, latents)) / np.sqrt(latents)
    gates = 1 + 0.1 * rng.normal(size=(nodes, hidden))
    u, vt = basis or np.linalg.svd(roots.mean(axis=0), full_matrices=False)[::2]
    known = min(hidden, len(vt))
    left[:, :known], right[:known] = u[:, :known], vt[:known]
    return Factors(left, gates, right)


def _compressed(roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `rotation` `(node, rank)` and `core` with `roots = rotation core`, to 1e-6.

    The columns of `rotation` are orthonormal, so a fit to the core is a fit to the roots. Over a
    grid of several conditions the rank is a fraction of the nodes; where it is not, the core is the
    roots themselves.
    """
    flat = roots.reshape(len(roots), -1)
    spread, rotation = np.linalg.eigh(flat @ flat.T)
    kept = spread > 1e-12 * spread[-1]
    if kept.sum() > len(roots) / 2:
        return np.eye(len(roots)), roots
    rotation = rotation[:, kept]
    return rotation, (rotation.T @ flat).reshape(-1, *roots.shape[1:])


def _solve(gram: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    shift = ridge * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + shift * np.eye(len(gram)), target)


def _balance(factors: Factors, num_nodes: int) -> Factors:
    """Give the three factors of every term the same size, which leaves the fit unchanged."""
    left, gates, right = factors
    sizes = (
        np.linalg.norm(left, axis=0),
        np.linalg.norm(gates, axis=0) / np.sqrt(num_nodes),
        np.linalg.norm(right, axis=1),
    )
    a, g, b = (np.maximum(size, 1e-30) for size in sizes)
    common = np.cbrt(a * g * b)
    return Factors(left * (common / a), gates * (common / g), right * (common / b)[:, None])
