"""A bundle for Stan: functions, weights as data, and a model to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from priorvae.bundles import Bundle
from priorvae.decoders.layers import Activation, ConcatCondition, Dense
from priorvae.decoders.stan_backend import arguments, stan_data, stan_functions
from priorvae.export.templates import template
from priorvae.inference.design import RegressionData
from priorvae.inference.regression import RegressionPriors, typical_response
from priorvae.processes.conditions import Condition

__all__ = [
    "DIALECTS",
    "FAMILIES",
    "example",
    "generator_data",
    "regression_data",
    "weights_data",
    "write_stan",
]

FAMILIES = ("poisson", "binomial", "negative-binomial", "gaussian")
"""Distributions of the data that an example is written for."""

DIALECTS = {"example.stan": True, "example-2.21.stan": False}
"""Files of the example, and whether they declare arrays as Stan has it since 2.26."""


class _Prior(NamedTuple):
    """A condition of the decoder in the example."""

    name: str
    position: int
    distribution: str
    fixed: bool


def write_stan(bundle: Bundle, out: Path, family: str = "poisson") -> list[Path]:
    """Write a bundle's decoder for Stan.

    `decoder.stanfunctions` is what a `functions` block may include; `weights.json` holds weights
    and ranges as data, so that one compiled model serves every bundle of the same structure;
    `example.stan` and `example-2.21.stan` are whole models with a spatial effect, for Stan since
    2.26 and for older ones such as rstan 2.21. Where `generator_data` has any, it is written to
    `generator.json`.

    Args:
        bundle: The bundle.
        out: An existing directory.
        family: One of `FAMILIES`.

    Returns:
        The files.
    """
    texts = {
        "decoder.stanfunctions": stan_functions(bundle.decoder),
        "weights.json": json.dumps(weights_data(bundle)) + "\n",
        **{name: example(bundle, family, arrays=new) for name, new in DIALECTS.items()},
    }
    generator = generator_data(bundle)
    if generator is not None:
        texts["generator.json"] = json.dumps(generator) + "\n"
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in texts]


def weights_data(bundle: Bundle) -> dict[str, Any]:
    """Return a decoder's data: `stan_data`, its sizes, and the parameters of its hyperprior.

    `hyperprior` has a row for each condition: location and scale of a (log-)normal, both shapes of
    a beta, and zeros for one that has none.
    """
    return {
        "num_areas": bundle.size,
        "latent_dim": bundle.latent_dim,
        "hyperprior": [_parameters(c) for c in bundle.conditions],
        **stan_data(bundle.decoder, bundle.weights),
    }


def generator_data(bundle: Bundle) -> dict[str, Any] | None:
    """Return the data of the Stan program that piVAE and PriorVAE were published with, or None.

    Its function `generator_stan(input, W1, W2, W3, B1, B2, B3)` is a perceptron with two hidden
    layers of tanh, `x' W + B` in each, sized `p`, `p1`, `p2`, `n`; it was quoted in the request for
    such priors in brms (issue 1482). With conditions its input is `z` followed by their positions
    in [-1, 1], and `p` counts both.

    Source: Mishra et al. (2022), piVAE, Statistics and Computing 32, the code that goes with it.
    """
    layers = bundle.decoder.layers
    first = int(bool(layers) and isinstance(layers[0], ConcatCondition))
    tanh = Activation("tanh")
    match layers[first:]:
        case (Dense(bias=True), one, Dense(bias=True), two, Dense(bias=True)) if one == two == tanh:
            pass
        case _:
            return None
    indices = [first, first + 2, first + 4]
    kernels, biases = (
        [np.asarray(bundle.weights[f"layers.{i}.{part}"], dtype=np.float64) for i in indices]
        for part in ("kernel", "bias")
    )
    sizes = dict(zip(("p", "p1", "p2"), (k.shape[0] for k in kernels), strict=True))
    return {
        **sizes,
        "n": kernels[-1].shape[1],
        **{f"W{number}": value.tolist() for number, value in enumerate(kernels, start=1)},
        **{f"B{number}": value.tolist() for number, value in enumerate(biases, start=1)},
    }


def regression_data(data: RegressionData) -> dict[str, Any]:
    """Return a regression on counts as the example's data, with the priors of `priorvae infer`.

    Every area has one row, in the order of the bundle; none is left to predict. The example has an
    intercept, whatever the formula says.

    Args:
        data: Response, covariates and offset, joined to the bundle's areas.
    """
    n, k = data.design.shape
    scale = RegressionPriors().slope_scale
    trials = {} if data.trials is None else {"trials": data.trials.astype(int).tolist()}
    return {
        "N": n,
        "K": k,
        "area": list(range(1, n + 1)),
        "X": data.design.tolist(),
        "y": data.y.astype(int).tolist(),
        **trials,
        "offsets": data.offset.tolist(),
        "M": 0,
        "new_area": [],
        "new_X": np.zeros((0, k)).tolist(),
        "new_offsets": [],
        "intercept_location": typical_response(data),
        "slope_scale": (scale / data.design.std(axis=0, ddof=1)).tolist(),
    }


def example(bundle: Bundle, family: str, *, arrays: bool) -> str:
    """Return a regression with the spatial effect as a Stan program.

    Args:
        bundle: The bundle.
        family: One of `FAMILIES`.
        arrays: Whether to declare arrays as Stan has it since 2.26 (`array[N] int y`), or as
            before (`int y[N]`).
    """

    def integers(name: str, size: str, bounds: str = "") -> str:
        return f"array[{size}] int{bounds} {name};" if arrays else f"int{bounds} {name}[{size}];"

    return template("example.stan.j2").render(
        functions="\n".join(
            f"  {line}" if line else "" for line in stan_functions(bundle.decoder).splitlines()
        ),
        weights=arguments(bundle.decoder),
        conditions=[
            _Prior(c.name, i, c.distribution, bool(c.labels))
            for i, c in enumerate(bundle.conditions, start=1)
        ],
        family=family,
        integers=integers,
    )


def _parameters(condition: Condition) -> list[float]:
    found = condition.parameters
    if "a" in found:
        return [found["a"], found["b"]]
    return [found.get("loc", 0.0), found.get("scale", 0.0)]
