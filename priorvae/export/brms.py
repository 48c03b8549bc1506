"""A bundle for brms: itself, with the decoder's Stan functions beside its weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

from priorvae.bundles import Bundle, files, write_bundle
from priorvae.decoders.stan_backend import stan_functions

__all__ = ["FUNCTIONS", "write_brms"]

FUNCTIONS = "stan/decoder.stanfunctions"
"""What a bundle for brms has beyond any other."""


def write_brms(bundle: Bundle, out: Path) -> list[Path]:
    """Write a bundle as the R package reads it.

    The files are those of the bundle, byte for byte where it was read from a directory;
    `stan/decoder.stanfunctions` defines its decoder, and `SHA256SUMS` covers it. R reads the
    weights from `decoder.safetensors`, as Stan data by the names of `stan_data`.

    Args:
        bundle: The bundle.
        out: An existing directory.

    Returns:
        The files.
    """
    contents = _contents(bundle)
    contents[FUNCTIONS] = stan_functions(bundle.decoder).encode()
    sums = contents.pop(files.CHECKSUMS).decode()
    sums += f"{files.checksum(contents[FUNCTIONS])}  {FUNCTIONS}\n"
    contents[files.CHECKSUMS] = sums.encode()
    for name, data in contents.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(data)
    return [out / name for name in contents]


def _contents(bundle: Bundle) -> dict[str, bytes]:
    """Return a bundle's own files, as they are, or as they would be written."""
    if bundle.path is not None:
        names = [*bundle.info.files, files.INFO, files.CHECKSUMS]
        return _without_functions({name: (bundle.path / name).read_bytes() for name in names})
    with tempfile.TemporaryDirectory() as folder:
        written = write_bundle(bundle, Path(folder) / "bundle")
        return {path.name: path.read_bytes() for path in sorted(written.iterdir())}


def _without_functions(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Drop the functions' sum of a bundle that was exported before."""
    lines = contents[files.CHECKSUMS].decode().splitlines(keepends=True)
    kept = [line for line in lines if line.split("  ", 1)[-1].rstrip("\n") in contents]
    return {**contents, files.CHECKSUMS: "".join(kept).encode()}
