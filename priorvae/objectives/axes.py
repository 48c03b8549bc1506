"""The axes of a process's latents: directions of z along which its root hardly mixes them."""

from __future__ import annotations

import numpy as np

from priorvae.processes.base import Gaussian
from priorvae.processes.roots import Root, cholesky_root

__all__ = ["has_axes", "latent_axes"]


def has_axes(process: Gaussian) -> bool:
    """Return whether latents can be turned onto axes; a basis of its own may keep them from it."""
    basis = process.eigenbasis
    if basis is None:
        return True
    rank, latents = basis.right.shape
    return basis.orthonormal and rank == latents


def latent_axes(process: Gaussian, root: str = "symmetric") -> np.ndarray:
    """Return orthonormal axes of z, `(column, axis)`, those of the largest variance first.

    With `Q` orthonormal, `R(theta) Q` is as good a root of `K(theta)` as `R(theta)`. Here `Q` holds
    the basis that serves every theta where there is one, and else the right singular vectors of
    the root in the middle of the range: along them the columns of roots near by are nearly those of
    this one, each times a number, which is what a gate can follow.

    Args:
        process: The process; see `has_axes`.
        root: `symmetric`, for the process's own root, or `cholesky`.
    """
    basis = process.eigenbasis
    if basis is not None and root == "symmetric":
        return basis.right.T
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    found = _root(process, root)(middle)
    _, vectors = np.linalg.eigh(found.T @ found)
    return vectors[:, ::-1]


def _root(process: Gaussian, kind: str) -> Root:
    if kind == "symmetric":
        return process.root
    return lambda hyper: cholesky_root(process.covariance(hyper))
