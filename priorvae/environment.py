"""What a run ran on: versions, platform, device, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["device_name", "environment", "git_commit", "shown_environment"]

_PACKAGES = (
    "priorvae",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpyro",
    "orbax-checkpoint",
    "numpy",
    "scipy",
    "geopandas",
    "libpysal",
)


def environment() -> dict[str, Any]:
    """Return versions, platform and device, as a JSON-able mapping."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "device": device_name(),
        "git_commit": git_commit(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def shown_environment() -> dict[str, str]:
    """Return the environment as the report lists it."""
    facts = environment()
    packages = ", ".join(f"{name} {text}" for name, text in facts["packages"].items() if text)
    return {
        "Device": facts["device"],
        "Python": f"{facts['python']} on {facts['platform']}, {facts['cpus']} CPUs",
        "Packages": packages,
    }


def device_name() -> str:
    """Return the kind of the device JAX computes on, such as `cpu` or `NVIDIA A100`."""
    import jax

    # Under `jax.default_device` an array lies elsewhere than on the first device.
    [device] = jax.numpy.zeros(()).devices()
    return str(device.device_kind)


def git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, or None when installed."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
