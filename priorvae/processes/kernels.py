"""Kernels of unit variance, on NumPy or JAX arrays, and how they are named and combined."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import mul
from typing import Any, NamedTuple

from priorvae.errors import ProcessError, nearest

__all__ = [
    "KERNELS",
    "Separation",
    "kernel_names",
    "matern12",
    "matern32",
    "matern52",
    "periodic",
    "rational_quadratic",
    "rbf",
    "stretched",
    "unit_covariance",
]


class Separation(NamedTuple):
    """How far apart two areas are, and in which direction."""

    distance: Any
    """Distance in km, `(area, area)`."""
    direction: Any = None
    """Unit vectors east and north, `(2, area, area)`; None where no kernel asks for them."""


def rbf(scaled: Any) -> Any:
    """Squared exponential, `exp(-r^2 / 2)` with `r = d / lengthscale`."""
    xp = scaled.__array_namespace__()
    return xp.exp(-0.5 * scaled**2)


def matern12(scaled: Any) -> Any:
    """Matern-1/2 (exponential), `exp(-r)`."""
    xp = scaled.__array_namespace__()
    return xp.exp(-scaled)


def matern32(scaled: Any) -> Any:
    """Matern-3/2, `(1 + sqrt(3) r) exp(-sqrt(3) r)`."""
    xp = scaled.__array_namespace__()
    a = 3**0.5 * scaled
    return (1 + a) * xp.exp(-a)


def matern52(scaled: Any) -> Any:
    """Matern-5/2, `(1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)`."""
    xp = scaled.__array_namespace__()
    a = 5**0.5 * scaled
    return (1 + a + a**2 / 3) * xp.exp(-a)


def rational_quadratic(scaled: Any, shape: Any) -> Any:
    """Rational quadratic, `(1 + r^2 / (2 shape))^-shape`: RBFs of gamma-distributed precisions.

    Source: Rasmussen and Williams (2006), equation 4.19.
    """
    xp = scaled.__array_namespace__()
    return xp.exp(-shape * xp.log1p(scaled**2 / (2 * shape)))


def periodic(phase: Any, lengthscale: Any) -> Any:
    """Periodic kernel, `exp(-2 sum_k sin^2(pi p_k) / lengthscale^2)`, `p = difference / period`.

    A product over the coordinates `k`: the same formula in the Euclidean distance is not positive
    definite in the plane. The lengthscale is a pure number.

    Source: MacKay (1998), Introduction to Gaussian processes, section 5.2.

    Args:
        phase: Differences of coordinates in periods, `(2, area, area)`.
        lengthscale: Smoothness within a period.
    """
    xp = phase.__array_namespace__()
    return xp.exp(-2 * xp.sum(xp.sin(xp.pi * phase) ** 2, axis=0) / lengthscale**2)


def _of_distance(function: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Give a function of scaled distance the common signature `(separation, hyper)`."""

    def kernel(apart: Separation, hyper: Mapping[str, Any]) -> Any:
        others = [hyper[name] for name in names]
        return function(apart.distance / hyper["lengthscale"], *others)

    return kernel


def _periodic(apart: Separation, hyper: Mapping[str, Any]) -> Any:
    return periodic(apart.distance * apart.direction / hyper["period"], hyper["lengthscale"])


KERNELS: dict[str, Callable[[Separation, Mapping[str, Any]], Any]] = {
    "rbf": _of_distance(rbf),
    "matern12": _of_distance(matern12),
    "matern32": _of_distance(matern32),
    "matern52": _of_distance(matern52),
    "rational-quadratic": _of_distance(rational_quadratic, "shape"),
    "periodic": _periodic,
}


def kernel_names(kernel: str) -> tuple[str, ...]:
    """Return the kernels in `matern32`, `rbf+periodic` (a sum), `rbf*periodic` or `rbf|matern32`.

    Raises:
        ProcessError: One of them is unknown, or they are joined in more than one way.
    """
    names = tuple(re.split(r"[+*|]", kernel))
    for name in names:
        if name not in KERNELS:
            raise ProcessError(
                f"unknown kernel {name!r}{nearest(name, KERNELS)}; expected {', '.join(KERNELS)}"
            )
    if len({sign for sign in kernel if sign in "+*|"}) > 1:
        raise ProcessError(
            f"kernel {kernel!r}: expected a sum (`+`), a product (`*`) or a choice (`|`), got "
            "several of them"
        )
    return names


def unit_covariance(kernel: str, apart: Separation, hyper: Mapping[str, Any]) -> Any:
    """Evaluate a kernel of unit variance, or several as one, `(area, area)`.

    Of a choice, `kernel` in the hyperparameters is a name or a number, counted from 0; all share
    their hyperparameters. A sum is `sum_i w_i k_i / sum_i w_i`; in a sum or product the
    hyperparameters of the i-th kernel end in `_i`, counted from 1: `lengthscale_2`, `weight_2`.
    """
    names = kernel_names(kernel)
    if len(names) == 1:
        return KERNELS[kernel](apart, hyper)
    if "|" in kernel:
        return _chosen(names, apart, hyper)
    terms = [_numbered(hyper, i) for i in range(1, len(names) + 1)]
    values = [KERNELS[name](apart, term) for name, term in zip(names, terms, strict=True)]
    if "*" in kernel:
        return reduce(mul, values)
    weights = [term["weight"] for term in terms]
    return sum(w * k for w, k in zip(weights, values, strict=True)) / sum(weights)


def stretched(apart: Separation, ratio: Any, angle: Any) -> Separation:
    """Return separations under geometric anisotropy, where distance across counts `ratio` times.

    The lengthscale holds along `angle`, in degrees clockwise from north; across it, it is
    `lengthscale / ratio`. Written in directions, whose length is never zero, so that gradients are
    finite where the distance is zero.

    Source: Diggle and Ribeiro (2007), Model-based Geostatistics, section 3.7.
    """
    east, north = apart.direction
    xp = east.__array_namespace__()
    sine, cosine = (f(xp.asarray(angle * (xp.pi / 180))) for f in (xp.sin, xp.cos))
    turned = xp.stack([sine * east + cosine * north, ratio * (cosine * east - sine * north)])
    length = xp.sqrt(xp.sum(turned**2, axis=0))
    return Separation(apart.distance * length, turned / length)


def _chosen(names: tuple[str, ...], apart: Separation, hyper: Mapping[str, Any]) -> Any:
    """Evaluate the kernel that `hyper["kernel"]` chooses: one, or one for each of its elements."""
    choice = hyper["kernel"]
    if isinstance(choice, str):
        if choice not in names:
            raise ProcessError(
                f"unknown kernel {choice!r}{nearest(choice, names)}; expected {', '.join(names)}"
            )
        choice = names.index(choice)
    if isinstance(choice, int | float):
        return KERNELS[names[int(choice)]](apart, hyper)
    xp = choice.__array_namespace__()
    chosen, *others = (KERNELS[name](apart, hyper) for name in names)
    for number, values in enumerate(others, start=1):
        chosen = xp.where(choice == number, values, chosen)
    return chosen


def _numbered(hyper: Mapping[str, Any], index: int) -> dict[str, Any]:
    end = f"_{index}"
    return {name.removesuffix(end): v for name, v in hyper.items() if name.endswith(end)}
