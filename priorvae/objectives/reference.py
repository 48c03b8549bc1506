"""The analytic decoder: no training, the yardstick every learnt decoder is shown beside."""

from __future__ import annotations

import numpy as np

from priorvae.decoders.layers import Dense, Gate, Layer, Mixture
from priorvae.decoders.spec import Decoder
from priorvae.objectives.axes import has_axes
from priorvae.processes.base import Eigenbasis, Gaussian, Process, require_gaussian
from priorvae.processes.roots import InterpolatedRoot

__all__ = ["reference_decoder"]


def reference_decoder(process: Process) -> tuple[Decoder, dict[str, np.ndarray]]:
    """Return the decoder that a Gaussian process has without learning, and its float64 weights.

    Given theta a Gaussian prior is linear in z: `f = R(theta) z`. With an eigenbasis that serves
    every theta (the CAR family) `R` is a gate and a matrix, with z along the basis; otherwise the
    process's own root, which need not be square, is interpolated over theta as a mixture of a few
    matrices.

    Raises:
        ProcessError: The process is not Gaussian.
    """
    process = require_gaussian(process, "model.type reference")
    basis = process.eigenbasis
    if basis is not None:
        return _spectral(process, basis)
    root = InterpolatedRoot.fit(process.root, process.conditions)
    rank, n, latent_dim = root.matrices.shape
    layer = Mixture(units=n, rank=rank, degrees=root.degrees)
    decoder = Decoder(latent_dim, n, process.conditions, (layer,))
    weights = {
        "layers.0.coefficients": root.coefficients,
        "layers.0.kernels": np.ascontiguousarray(root.matrices.transpose(0, 2, 1)),
    }
    return decoder, weights


def _spectral(process: Gaussian, basis: Eigenbasis) -> tuple[Decoder, dict[str, np.ndarray]]:
    gate = InterpolatedRoot.fit(lambda hyper: basis.gate(hyper)[:, None], process.conditions)
    series = gate.coefficients @ gate.matrices[:, :, 0]
    (rank, latent_dim), n = basis.right.shape, process.size
    if has_axes(process):
        layers: tuple[Layer, ...] = (Gate(gate.degrees), Dense(n, bias=False))
        return Decoder(latent_dim, n, process.conditions, layers), {
            "layers.0.coefficients": series,
            "layers.1.kernel": np.ascontiguousarray(basis.left.T),
        }
    layers = (Dense(rank, bias=False), Gate(gate.degrees), Dense(n, bias=False))
    decoder = Decoder(latent_dim, n, process.conditions, layers)
    weights = {
        "layers.0.kernel": np.ascontiguousarray(basis.right.T),
        "layers.1.coefficients": series,
        "layers.2.kernel": np.ascontiguousarray(basis.left.T),
    }
    return decoder, weights
