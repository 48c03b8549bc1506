"""Read a bundle without priorvae: what another engine has to implement, in fifty lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Array = np.ndarray
SCALES = {
    "log": np.log, "identity": lambda v: v, "log1m": lambda v: -np.log1p(-v),
    "arcsine": lambda v: np.arcsin(np.sqrt(v)), "asin": np.arcsin,
}  # fmt: skip
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)), "softplus": lambda x: np.log1p(np.exp(x)),
}  # fmt: skip


def chebyshev(u: Array, degrees: list[int]) -> Array:
    basis = np.ones(1)
    for position, degree in zip(u, degrees, strict=True):
        basis = np.kron(basis, np.polynomial.chebyshev.chebvander(position, degree)[0])
    return basis


def decode(info: dict[str, Any], weights: dict[str, Array], z: Array, theta: Array) -> Array:
    u = np.zeros(len(theta))
    for i, condition in enumerate(info["conditions"]):
        if condition["transform"] == "category":
            u[i] = np.cos(np.pi * (theta[i] + 0.5) / len(condition["labels"]))
            continue
        low, value, high = SCALES[condition["transform"]](
            np.array([condition["low"], theta[i], condition["high"]])
        )
        u[i] = 2 * (value - low) / (high - low) - 1
    named = {k.removeprefix("layers."): v.astype(float) for k, v in weights.items()}
    return run(info["decoder"], named, z, u)


def run(layers: list[dict[str, Any]], weights: dict[str, Array], x: Array, u: Array) -> Array:
    for i, layer in enumerate(layers):
        w = within(weights, i)
        match layer["kind"]:
            case "dense":
                x = x @ w["kernel"] + w.get("bias", 0.0)
            case "activation":
                x = ACTIVATIONS[layer["function"]](x)
            case "concat-condition":
                x = np.concatenate([x, u])
            case "gate":
                x = x * (chebyshev(u, layer["degrees"]) @ w["coefficients"])
            case "mixture":
                mix = chebyshev(u, layer["degrees"]) @ w["coefficients"]
                x = x @ np.tensordot(mix, w["kernels"], axes=1)
            case "sum":
                x = sum(run(b, within(w, n), x, u) for n, b in enumerate(layer["branches"]))
            case unknown:
                raise ValueError(f"a layer of kind {unknown!r} is not read here")
    return x


def within(weights: dict[str, Array], number: int) -> dict[str, Array]:
    prefix = f"{number}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def golden_error(bundle: Path) -> float:
    """Return the largest relative error over the golden cases."""
    info = json.loads((bundle / "bundle.json").read_text())
    weights, golden = load_file(bundle / "decoder.safetensors"), np.load(bundle / "golden.npz")
    f = [decode(info, weights, z, t) for z, t in zip(golden["z"], golden["theta"], strict=True)]
    return float(np.max(np.abs(f - golden["f"])) / np.max(np.abs(golden["f"])))
