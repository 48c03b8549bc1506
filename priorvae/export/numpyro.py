"""A bundle as one Python file that needs NumPy, JAX and NumPyro, and no priorvae."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from priorvae.bundles import Bundle, golden_cases
from priorvae.decoders.source_backend import statements, unit_expression, uses_norm, uses_series
from priorvae.export.templates import template
from priorvae.processes.conditions import Condition

__all__ = ["write_numpyro"]

_WIDTH = 96
_INDENT = "\n    "


def write_numpyro(bundle: Bundle, out: Path) -> list[Path]:
    """Write `<name>.py`: weights, areas and conditions, `decode` and `spatial_effect`.

    Nothing in a bundle ends up as code: its numbers are written as numbers or base64 of their
    bytes, its text as literals, and layers as the statements of their kinds.

    Args:
        bundle: The bundle.
        out: An existing directory.

    Returns:
        The one file.
    """
    path = out / f"{_module(bundle.info.name)}.py"
    path.write_text(_source(bundle, path.stem), encoding="ascii")
    return [path]


def _module(name: str) -> str:
    """Return a module's name from a bundle's."""
    return re.sub(r"^(?=\d|$)", "prior_", re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_"))


def _source(bundle: Bundle, module: str) -> str:
    info, decoder = bundle.info, bundle.decoder
    z, theta, f = golden_cases(bundle)
    return template("numpyro.py.j2").render(
        module=module,
        header={name: _prose(text) for name, text in _header(bundle).items()},
        id=ascii(info.id),
        certificate=ascii(info.certificate.status),
        latent_dim=bundle.latent_dim,
        area_ids=_tuple(bundle.area_ids),
        layers=None if info.layers is None else _tuple(info.layers.labels),
        conditions=[(ascii(c.name), _record(c), _distribution(c)) for c in bundle.conditions],
        categorical=any(c.labels for c in bundle.conditions),
        units=[unit_expression(c, f"values[{i}]") for i, c in enumerate(bundle.conditions)],
        weights=[(ascii(name), _array(value)) for name, value in sorted(bundle.weights.items())],
        golden=[("z", _array(z)), ("theta", _array(theta)), ("f", _array(f))],
        statements=statements(decoder),
        series=uses_series(decoder),
        norm=uses_norm(decoder),
    )


def _header(bundle: Bundle) -> dict[str, str]:
    info = bundle.info
    boundary = info.boundary
    process = " ".join(filter(None, [info.process.kind, info.process.kernel]))
    places = "" if info.features is None else "; at the areas only, not at other places"
    licence = boundary.licence or "not stated by the source"
    return {
        "what": f"A {info.type} decoder of a {process} prior over {info.num_areas} areas{places}.",
        "bundle": f"{info.id} ({info.name}), made by priorvae {info.priorvae_version}",
        "map": f"{boundary.source}, {boundary.year or 'year not stated'}; licence: {licence}",
        "certificate": info.certificate.status,
    }


def _prose(text: str) -> str:
    """Return text that is safe within a docstring: one line of ASCII, no quotes, no escapes."""
    plain = " ".join(text.split()).encode("ascii", "replace").decode()
    return (
        "".join(c if c.isprintable() else "?" for c in plain).replace("\\", "/").replace('"', "'")
    )


def _record(condition: Condition) -> str:
    fields = {
        "low": condition.low, "high": condition.high, "unit": condition.unit,
        "labels": condition.labels,
    }  # fmt: skip
    return ascii(fields)


def _distribution(condition: Condition) -> str:
    """Return the expression of the trained hyperprior, as `condition.numpyro()` has it."""
    low, high, parameters = condition.low, condition.high, condition.parameters
    match condition.distribution:
        case "categorical":
            return f"dist.DiscreteUniform(0, {len(condition.labels) - 1})"
        case "uniform":
            return f"dist.Uniform({low!r}, {high!r})"
        case "loguniform":
            return f"dist.LogUniform({low!r}, {high!r})"
        case "beta":
            standard = f"dist.Beta({parameters['a']!r}, {parameters['b']!r})"
            return f"_stretched({standard}, {low!r}, {high!r})"
        case "normal":
            return _truncated(parameters, low, high)
        case _:
            return f"_exponential({_truncated(parameters, math.log(low), math.log(high))})"


def _truncated(parameters: dict[str, float], low: float, high: float) -> str:
    loc, scale = parameters["loc"], parameters["scale"]
    return f"dist.TruncatedNormal({loc!r}, {scale!r}, low={low!r}, high={high!r})"


def _tuple(words: Sequence[str]) -> str:
    return f"({_INDENT}{_INDENT.join(_lines([f'{word!a},' for word in words]))}\n)"


def _lines(items: Sequence[str]) -> Iterator[str]:
    """Join items by blanks into lines of a width."""
    line = ""
    for item in items:
        if line and len(line) + 1 + len(item) > _WIDTH:
            yield line
            line = ""
        line = f"{line} {item}" if line else item
    yield line


def _array(values: np.ndarray) -> str:
    """Return the call that gives an array back from base64 of its little-endian bytes, exactly."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode()
    lines = [text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH)]
    shape = tuple(int(size) for size in values.shape)
    return f'_array("{little.dtype.str}", {shape}, """{_INDENT}{_INDENT.join(lines)}\n""")'
