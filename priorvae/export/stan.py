"""A bundle for Stan: functions, weights as data, and a model to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from priorvae.bundles import Bundle
from priorvae.decoders.stan_backend import arguments, stan_data, stan_functions
from priorvae.processes.conditions import Condition

__all__ = ["DIALECTS", "FAMILIES", "example", "weights_data", "write_stan"]

FAMILIES = ("poisson", "binomial", "negative-binomial", "gaussian")
"""Distributions of the data that an example is written for."""

DIALECTS = {"example.stan": True, "example-2.21.stan": False}
"""Files of the example, and whether they declare arrays as Stan has it since 2.26."""


class _Prior(NamedTuple):
    """A condition of the decoder in the example."""

    name: str
    index: int
    distribution: str
    fixed: bool


def write_stan(bundle: Bundle, out: Path, family: str = "poisson") -> list[Path]:
    """Write a bundle's decoder for Stan.

    `decoder.stanfunctions` is what a `functions` block may include; `weights.json` holds weights
    and ranges as data, so that one compiled model serves every bundle of the same structure;
    `example.stan` and `example-2.21.stan` are whole models with a spatial effect, for Stan since
    2.26 and for older ones such as rstan 2.21.

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


def example(bundle: Bundle, family: str, *, arrays: bool) -> str:
    """Return a regression with the spatial effect as a Stan program.

    Args:
        bundle: The bundle.
        family: One of `FAMILIES`.
        arrays: Whether to declare arrays as Stan has it since 2.26 (`array[N] int y`), or as
            before (`int y[N]`).
    """
    templates = Environment(
        loader=PackageLoader("priorvae.export", "."),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def integers(name: str, size: str, bounds: str = "") -> str:
        return f"array[{size}] int{bounds} {name};" if arrays else f"int{bounds} {name}[{size}];"

    return templates.get_template("example.stan.j2").render(
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

