"""Importance weights that take a decoder's draws to the process it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from scipy import linalg

from priorvae.processes.base import Gaussian, Process
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax

__all__ = [
    "ImportanceWeights",
    "LogWeights",
    "Weighable",
    "effective_fraction",
    "gaussian_log_density",
    "log_importance_weights",
    "obstacle",
    "proper_range",
    "reliable_below",
    "smooth",
]

SINGULAR = 1e-12
"""Share of the largest variance below which a direction has none in float64."""

OUTSIDE = 1e-8
"""Share of a decoder's variance outside the process's range that is more than rounding."""

EQUAL = 1e-3
"""Spread of log weights that can change nothing: there is no tail to fit."""

ENTRIES = 400_000
"""Entries of the Jacobians that are made at once: more no longer fit in a core's cache."""


class Weighable(Protocol):
    """What weights need of a decoder; `priorvae.bundles.Bundle` has it."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Hyperparameters it is conditioned on."""

    @property
    def latent_dim(self) -> int:
        """Length of `z`."""

    @property
    def is_linear(self) -> bool:
        """Whether a field is `matrix(hyper) @ z`."""

    def matrix(self, hyper: Mapping[str, float]) -> np.ndarray:
        """Return the `(area, latent)` matrix of a linear decoder in float64."""

    def decode(self, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
        """Return `f`, `(area,)`, for one `z`, `(latent,)`; traceable and differentiable."""


class ImportanceWeights(NamedTuple):
    """Pareto-smoothed importance weights (Vehtari et al. 2024, JMLR 25)."""

    fraction: float
    """Effective fraction of the draws after reweighting; 1 if the decoder is the prior."""
    pareto_k: float | None
    """Estimated tail index; None where all weights are equal to a thousandth, or one is nought."""
    log_weights: np.ndarray
    """Normalised smoothed log weights, in the shape of the draws."""
    folded: float = 0.0
    """Share of the draws where the determinant of a decoder's Jacobian has the rarer sign."""

    @property
    def reliable(self) -> bool:
        """Whether estimates by these weights can be relied on; `doubt` says why not."""
        return not self.doubt

    @property
    def doubt(self) -> str:
        """Why the weights cannot be relied on; empty where they can be."""
        if self.fraction == 0:
            return "the decoder's covariance is singular: no weight takes it to the process"
        if self.folded > 0:
            return (
                f"the decoder folds (the determinant of its Jacobian has the other sign in "
                f"{100 * self.folded:.2g} % of the draws): its density is not known"
            )
        limit = reliable_below(self.log_weights.size)
        if self.pareto_k is not None and not self.pareto_k <= limit:
            return (
                f"Pareto k-hat is {self.pareto_k:.2f}, above {limit:.2f}: a few draws carry most "
                "of the weight, so that the decoder's posterior lacks what the exact one has"
            )
        return ""


class LogWeights(NamedTuple):
    """Importance weights as they are, neither smoothed nor normalised."""

    values: np.ndarray
    """`log w`, `(draw,)`; -inf where the decoder's own covariance is singular."""
    folded: float
    """Share of the draws where the determinant of a decoder's Jacobian has the rarer sign: above
    0 the decoder is not one-to-one."""


def obstacle(decoder: Weighable, process: Process) -> str | None:
    """Say why a decoder's draws cannot be weighted, or return None where they can be.

    Args:
        decoder: The decoder.
        process: The process it stands for.
    """
    if not isinstance(process, Gaussian):
        return (
            f"{process.kind} is known by its draws alone, and has no density to weight by: there "
            "is no exact posterior to compare with"
        )
    names = [c.name for c in process.conditions]
    if [c.name for c in decoder.conditions] != names:
        return (
            f"the decoder integrates {' and '.join(names)} out, so that its posterior has no draws "
            "of what the exact one depends on; use --exact, or a decoder that is conditioned on it"
        )
    return _dimensions(decoder, process)


def _dimensions(decoder: Weighable, process: Gaussian) -> str | None:
    size, latents = process.size, decoder.latent_dim
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    basis = proper_range(process.covariance(middle))
    rank = size if basis is None else basis.shape[1]
    if not decoder.is_linear and (latents != size or rank < size):
        return (
            f"the decoder is not linear in z, and has {latents} latents for {rank} independent "
            "values: a change of variables needs as many of the one as of the other; use --exact"
        )
    if latents < rank:
        return (
            f"the decoder has {latents} latents for {rank} independent values: its fields fill no "
            "volume, and those of the process are almost never among them; use --exact, or train "
            "with as many latents as areas"
        )
    if basis is not None and _leaves(decoder.matrix(middle), basis):
        return (
            f"{process.kind} allows only fields in {rank} of {size} dimensions (those that sum to "
            "zero), and the decoder's leave them; use --exact"
        )
    return None


def _leaves(matrix: np.ndarray, basis: np.ndarray) -> bool:
    outside = matrix - basis @ (basis.T @ matrix)
    return bool(np.sum(outside**2) > OUTSIDE * np.sum(matrix**2))


def log_importance_weights(
    decoder: Weighable,
    process: Gaussian,
    latents: np.ndarray,
    hypers: Mapping[str, np.ndarray],
) -> LogWeights:
    """Return the log weights that take draws of a decoder's posterior to the exact one.

    Both posteriors have the same likelihood, which cancels, as do the priors of all that is not the
    field. What is left of a draw `(z, theta)` with field `g = D(z, theta)` is

        w = N(g; 0, K_theta) / q(g | theta),

    with `q` the decoder's density: of one linear in `z`, `g = A z` with `latents >= areas`,

        q = N(g; 0, A A'),

    and of one with as many latents as areas, by a change of variables at the draw's own `z`,

        q = N(z; 0, I) / |det dD/dz|.

    The second holds where `D` is one-to-one given `theta`. Where it is so only locally, and `m`
    latent vectors give the same field, that field counts `m` times over. A map that folds has
    determinants of both signs, which is looked for; that it is one-to-one far from the draws is
    assumed. Where the process is singular (an ICAR, whose components sum to zero), densities are
    taken within its range. All is computed in float64, one factorisation a distinct `theta`.

    Args:
        decoder: The decoder.
        process: The process it stands for, without an `obstacle` to it.
        latents: Draws of `z`, `(draw, latent)`.
        hypers: By name, the hyperparameters of each draw, `(draw,)`.
    """
    z = np.asarray(latents, dtype=np.float64)
    result = np.empty(len(z))
    if decoder.is_linear:
        for hyper, rows in _groups(hypers, len(z)):
            result[rows] = _weigh_linear(decoder.matrix(hyper), process.covariance(hyper), z[rows])
        return LogWeights(result, 0.0)
    fields, ours, folded = _push_forward(decoder, z, hypers)
    for hyper, rows in _groups(hypers, len(z)):
        expected = process.covariance(hyper)
        result[rows] = gaussian_log_density(fields[rows], expected) - ours[rows]
    return LogWeights(result, folded)


def _groups(
    hypers: Mapping[str, np.ndarray], num_draws: int
) -> Iterator[tuple[dict[str, float], np.ndarray]]:
    """Yield each distinct value of the hyperparameters with the positions of its draws."""
    if not hypers:
        yield {}, np.arange(num_draws)
        return
    columns = np.stack([np.asarray(values, dtype=np.float64) for values in hypers.values()], axis=1)
    distinct, group = np.unique(columns, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    starts = np.searchsorted(group.ravel()[order], np.arange(1, len(distinct)))
    for row, positions in zip(distinct, np.split(order, starts), strict=True):
        yield dict(zip(hypers, row.tolist(), strict=True)), positions


def _weigh_linear(matrix: np.ndarray, expected: np.ndarray, z: np.ndarray) -> np.ndarray:
    basis = proper_range(expected)
    if basis is not None:
        matrix, expected = basis.T @ matrix, basis.T @ expected @ basis
    return gaussian_log_density(z @ matrix.T, expected) - _linear_log_density(matrix, z)


def _linear_log_density(matrix: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return `log N(A z; 0, A A')`; +inf where `A A'` is singular.

    With `A' = Q R` it is `-|Q' z|^2 / 2 - log |det R|` and a constant: the factor of `A A'` without
    squaring its condition number.
    """
    size, latents = matrix.shape
    if latents < size:
        return np.full(len(z), np.inf)
    if latents == size:
        squares, pivots = np.sum(z**2, axis=1), np.diag(linalg.lapack.dgetrf(matrix)[0])
    else:
        q, r = linalg.qr(matrix.T, mode="economic")
        squares, pivots = np.sum((z @ q) ** 2, axis=1), np.diag(r)
    pivots = np.abs(pivots)
    if pivots.min() <= SINGULAR * pivots.max():
        return np.full(len(z), np.inf)
    return -0.5 * (squares + size * np.log(2 * np.pi)) - np.log(pivots).sum()


def _push_forward(
    decoder: Weighable, z: np.ndarray, hypers: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return fields, their log densities by the change of variables, and the share folded."""
    import jax
    import jax.numpy as jnp

    names = list(hypers)

    def field(latent: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = decoder.decode(latent, dict(zip(names, values, strict=True)))
        return found, found

    columns = np.stack([np.zeros(len(z)), *hypers.values()], axis=1)[:, 1:]
    fields, signs, log_determinants = np.empty_like(z), np.empty(len(z)), np.empty(len(z))
    batch = max(1, ENTRIES // z.shape[1] ** 2)
    with jax.enable_x64(True):
        differentiate = jax.jit(jax.vmap(jax.jacfwd(field, has_aux=True)))
        for start in range(0, len(z), batch):
            # Positions past the end repeat the last draw: one shape, compiled once.
            rows = np.minimum(np.arange(start, start + batch), len(z) - 1)
            jacobians, found = differentiate(jnp.asarray(z[rows]), jnp.asarray(columns[rows]))
            fields[rows] = found
            signs[rows], log_determinants[rows] = np.linalg.slogdet(np.asarray(jacobians))
    constant = z.shape[1] * np.log(2 * np.pi)
    ours = -0.5 * (np.sum(z**2, axis=1) + constant) - log_determinants
    return fields, ours, float(min(np.mean(signs < 0), np.mean(signs > 0)))


def gaussian_log_density(fields: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return `log N(f; 0, K)` of fields `(draw, area)`, `K` regular, in float64."""
    factor = linalg.cholesky(covariance, lower=True)
    white = linalg.solve_triangular(factor, fields.T, lower=True)
    log_determinant = 2 * np.log(np.diag(factor)).sum()
    return -0.5 * (np.sum(white**2, axis=0) + len(covariance) * np.log(2 * np.pi) + log_determinant)


def proper_range(covariance: np.ndarray) -> np.ndarray | None:
    """Return an orthonormal basis of the range, or None where the covariance is regular."""
    try:
        pivots = np.diag(linalg.cholesky(covariance)) ** 2
        if pivots.min() > SINGULAR * np.diag(covariance).max():
            return None
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(covariance)
    return vectors[:, values > SINGULAR * values[-1]]


def smooth(
    log_weights: np.ndarray, *, relative_efficiency: float = 1.0, folded: float = 0.0
) -> ImportanceWeights:
    """Smooth the largest weights by the generalised Pareto distribution that fits them.

    Source: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling,
    JMLR 25, algorithm 1.

    Args:
        log_weights: Log weights in any shape, not normalised.
        relative_efficiency: Effective over actual number of draws, where they come from MCMC.
        folded: See `LogWeights`.
    """
    flat = np.asarray(log_weights, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        return ImportanceWeights(0.0, None, np.asarray(log_weights), folded)
    if np.ptp(flat) < EQUAL:
        equal = np.full(np.shape(log_weights), -np.log(flat.size))
        return ImportanceWeights(1.0, None, equal, folded)
    from arviz import psislw

    smoothed, pareto_k = psislw(flat, reff=relative_efficiency)
    smoothed = np.asarray(smoothed).reshape(np.shape(log_weights))
    return ImportanceWeights(effective_fraction(smoothed), float(pareto_k), smoothed, folded)


def reliable_below(num_draws: int) -> float:
    """Return the largest `pareto_k` to rely on, `min(1 - 1 / log10 S, 0.7)`.

    Source: Vehtari et al. (2024), section 3.2.4; fewer draws bear less.
    """
    return min(1 - 1 / np.log10(max(num_draws, 11)), 0.7)


def effective_fraction(log_weights: np.ndarray) -> float:
    """Return `(sum w)^2 / (N sum w^2)` of weights given by their logarithms; 1 if all are equal.

    Weights that are all zero (-inf) have a fraction of 0.
    """
    top = np.max(log_weights)
    if not np.isfinite(top):
        return 0.0
    weights = np.exp(log_weights - top)
    return float(weights.sum() ** 2 / (weights.size * np.sum(weights**2)))
