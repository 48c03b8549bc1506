"""Stan for tests: its own compiler's judgement of a program, and models built by PyStan."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from filelock import FileLock

__all__ = ["build", "check_syntax"]


def build(program: str, data: Mapping[str, Any], **settings: Any) -> Any:
    """Return PyStan's model; what its build leaves in the environment is taken back.

    Programs are built in one folder, where two processes must not build the same one at a time.
    """
    stan = pytest.importorskip("stan")
    digest = hashlib.sha256(program.encode()).hexdigest()
    lock = FileLock(Path(tempfile.gettempdir(), f"priorvae-stan-{digest[:16]}.lock"))
    with lock, patch.dict(os.environ):
        return stan.build(program, data=dict(data), **settings)


def check_syntax(program: str) -> None:
    """Fail with the compiler's words if a program is not valid Stan."""
    httpstan = pytest.importorskip("httpstan")
    compiler = Path(httpstan.__file__).parent / "stanc"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.stan"
        path.write_text(program)
        done = subprocess.run(
            [compiler, "--o", str(path.with_suffix(".cpp")), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
