"""Isotropic kernels as functions of scaled distance, on NumPy or JAX arrays."""

from collections.abc import Callable
from typing import Any

__all__ = ["KERNELS", "matern12", "matern32", "matern52", "rbf"]


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


KERNELS: dict[str, Callable[[Any], Any]] = {
    "rbf": rbf,
    "matern12": matern12,
    "matern32": matern32,
    "matern52": matern52,
}
