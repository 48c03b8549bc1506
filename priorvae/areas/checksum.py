"""Checksums of the files a map was read from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["sha256_of"]


def sha256_of(paths: Iterable[Path]) -> str:
    """Return the sha256 of the files' contents, one after the other in order of name."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        digest.update(path.read_bytes())
    return digest.hexdigest()
