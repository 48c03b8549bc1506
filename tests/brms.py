"""R with brms for tests: whether it is there, scripts run by it, and the package it installs."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from priorvae.bundles import Bundle
from priorvae.export.brms import write_brms

__all__ = ["PACKAGE", "exported", "install", "need_brms", "run"]

PACKAGE = Path(__file__).parents[1] / "r"
"""The R package of this repository."""


@cache
def _has_brms() -> bool:
    if shutil.which("Rscript") is None:
        return False
    found = subprocess.run(["Rscript", "-e", "library(brms)"], capture_output=True, check=False)
    return found.returncode == 0


def need_brms() -> None:
    """Skip a test where R or brms is missing."""
    if not _has_brms():
        pytest.skip("Rscript or brms is missing")


def run(*command: str | Path, cwd: Path | None = None, **changes: str) -> str:
    """Run a command, fail with its words, and return what it prints."""
    environment = {**os.environ, **changes}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, env=environment
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def install(library: Path) -> str:
    """Install the package into a library, and return it as `R_LIBS` has it."""
    need_brms()
    run("R", "CMD", "INSTALL", "--no-docs", f"--library={library}", PACKAGE)
    return str(library)


def exported(bundle: Bundle, folder: Path) -> Path:
    """Write a bundle as brms reads it."""
    folder.mkdir()
    write_brms(bundle, folder)
    return folder
