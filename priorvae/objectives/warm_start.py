"""Where training starts: a gated linear decoder fitted to the symmetric root.

The roots `R(theta_t)` at Chebyshev nodes form a three-way array. A gated linear decoder,
`sum_h left[:, h] g_h(theta) right[h, :]`, is its canonical polyadic decomposition of rank `hidden`,
so alternating least squares fits it in closed-form sweeps where a gradient method crawls along the
small eigenvalues. Where each latent has a gate of its own, the first rows of `right` are the
identity, and stay so.

Source: Kolda and Bader (2009), Tensor Decompositions and Applications, SIAM Review 51, section 3.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

__all__ = [
    "Factors",
    "alternating_least_squares",
    "fit_own_gates",
    "leading_columns",
    "leading_directions",
]

_EXACT = 1e-7
"""Relative error below which sweeps would only add rounding."""

_SETTLED = 2e-6
"""Ridge below which momentum helps: it has decayed so far after some 60 sweeps."""


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
        sweeps: Passes over the three factors, accelerated by momentum.
        rng: Source of the random terms to start from.
        basis: `left` and `right` to start from, where the roots share them: with as many terms,
            only the gates are left to find. Otherwise singular vectors of the mean root.
    """
    factors = _start(roots, hidden, rng, basis)
    rotation, roots = _compressed(roots)
    factors = factors._replace(gates=rotation.T @ factors.gates)
    if basis is not None:
        left, _, right = factors
        factors = Factors(left, _best_gates(_projected(roots, left), left, right, 1e-9), right)
        if factors.error(roots) < _EXACT:
            return factors._replace(gates=rotation @ factors.gates)
    fitted = _descend(roots, factors, sweeps)
    return fitted._replace(gates=rotation @ fitted.gates)


def fit_own_gates(roots: np.ndarray, hidden: int, sweeps: int, rng: np.random.Generator) -> Factors:
    """Decompose `roots` `(node, area, latent)` into one gated term for each latent, and more.

    The first `latent` rows of `right` are the identity: `f = sum_j left[:, j] g_j(theta) z_j` and
    terms that mix the latents. Along the axes of a root in the middle of the range, little is left
    to mix, so that many fewer terms do than without gates of the latents' own, and those that are
    left out need no multiplication.

    Args:
        roots: What to fit, its columns the axes.
        hidden: Number of terms, at least as many as latents.
        sweeps: Passes over the three factors, accelerated by momentum.
        rng: Source of the random terms to start from.
    """
    nodes, areas, latents = roots.shape
    mixing = hidden - latents
    left = np.empty((areas, hidden))
    gates = np.empty((nodes, hidden))
    for column in range(latents):
        left[:, column], gates[:, column] = _one_term(roots[:, :, column])
    left[:, latents:] = 0.0
    gates[:, latents:] = 1 + 0.1 * rng.normal(size=(nodes, mixing))
    more = 0.1 * rng.normal(size=(mixing, latents)) / np.sqrt(latents)
    factors = Factors(left, gates, np.concatenate([np.eye(latents), more]))
    rotation, core = _compressed(roots)
    factors = factors._replace(gates=rotation.T @ factors.gates)
    if factors.error(core) < _EXACT:
        return factors._replace(gates=rotation @ factors.gates)
    fitted = _descend(core, factors, sweeps, held=latents)
    return fitted._replace(gates=rotation @ fitted.gates)


def _one_term(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best `left` and `gate` for one latent's columns, `(node, area)`."""
    u, s, vt = np.linalg.svd(columns, full_matrices=False)
    sign = 1.0 if u[:, 0].sum() >= 0 else -1.0
    return sign * np.sqrt(s[0]) * vt[0], sign * np.sqrt(s[0]) * u[:, 0]


def _descend(roots: np.ndarray, factors: Factors, sweeps: int, held: int = 0) -> Factors:
    """Sweep over the factors; the first `held` rows of `right` stay what they are."""
    path = _Path(factors, factors, np.inf, 0)
    for sweep in range(sweeps):
        ridge = max(1e-3 * 0.9**sweep, 1e-9)
        fitted, error = _sweep(roots, path.ahead, ridge, held)
        path = path.step(_balance(fitted, len(roots), held), error, rest=ridge > _SETTLED)
    return path.fitted


class _Path(NamedTuple):
    """Where the sweeps are, and where the next one starts: ahead of it, by Nesterov's momentum.

    Sweeps alone creep along the valleys of the error; with momentum the same number of them ends
    several times as far down. Where a sweep ends higher than the last one it starts anew.

    Source: Mitchell, Ye and De Sterck (2020), Nesterov acceleration of alternating least squares
    for canonical tensor decomposition, Numerical Linear Algebra with Applications 27.
    """

    fitted: Factors
    ahead: Factors
    error: float
    moving: int
    """Sweeps since the momentum was last at rest."""

    def step(self, fitted: Factors, error: float, rest: bool) -> _Path:
        """Move to what a sweep found, or back to where it was without momentum."""
        if error > self.error and self.moving > 0:
            return _Path(self.fitted, self.fitted, self.error, 0)
        momentum = 0.0 if rest else self.moving / (self.moving + 3)
        pairs = zip(fitted, self.fitted, strict=True)
        ahead = Factors(*(new + momentum * (new - old) for new, old in pairs))
        return _Path(fitted, ahead, np.inf if rest else error, 0 if rest else self.moving + 1)


def _sweep(roots: np.ndarray, factors: Factors, ridge: float, held: int) -> tuple[Factors, float]:
    """Solve for each factor in turn; also return the squared error."""
    _, gates, right = factors
    num_nodes, areas, latents = roots.shape
    by_right = (roots.reshape(-1, latents) @ right.T).reshape(num_nodes, areas, -1)
    target = np.einsum("tih,th->ih", by_right, gates)
    left = _solve((right @ right.T) * (gates.T @ gates), target.T, ridge).T
    by_left = _projected(roots, left)
    target = np.einsum("thj,th->hj", by_left, gates)
    gram = (left.T @ left) * (gates.T @ gates)
    rest = target[held:] - gram[held:, :held] @ right[:held]
    right = np.concatenate([right[:held], _solve(gram[held:, held:], rest, ridge)])
    gram = (left.T @ left) * (right @ right.T)
    target = np.einsum("thj,hj->th", by_left, right)
    gates = _solve(gram, target.T, ridge).T
    overlap, size = np.sum(target * gates), np.sum((gates @ gram) * gates)
    return Factors(left, gates, right), float(np.sum(roots**2) - 2 * overlap + size)


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
    return left.T @ roots


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
    if not len(gram):
        return target
    shift = ridge * np.trace(gram) / len(gram)
    return scipy.linalg.solve(gram + shift * np.eye(len(gram)), target, assume_a="pos")


def _balance(factors: Factors, num_nodes: int, held: int) -> Factors:
    """Give the factors of every term the same size, which leaves the fit unchanged.

    Rows of `right` that are held keep theirs: there, the other two are made alike.
    """
    left, gates, right = factors
    sizes = (
        np.linalg.norm(left, axis=0),
        np.linalg.norm(gates, axis=0) / np.sqrt(num_nodes),
        np.linalg.norm(right, axis=1),
    )
    a, g, b = (np.maximum(size, 1e-30) for size in sizes)
    common = np.cbrt(a * g * b)
    common[:held] = np.sqrt(a * g)[:held]
    b[:held] = common[:held]
    return Factors(left * (common / a), gates * (common / g), right * (common / b)[:, None])
