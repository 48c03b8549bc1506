"""Write a bundle: everything a consumer needs, checksummed, all of it or nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from priorvae.bundles import files
from priorvae.bundles.bundle import Bundle
from priorvae.bundles.card import card
from priorvae.bundles.info import FileInfo
from priorvae.errors import BundleError

__all__ = ["golden_cases", "write_bundle"]

_CASES = 8


def write_bundle(bundle: Bundle, directory: Path, evaluation: str | None = None) -> Path:
    """Write a bundle into a new directory.

    Args:
        bundle: What to write; its `info.files` are filled in here.
        directory: Where; must not exist yet.
        evaluation: Text of `evaluation.json`, if the bundle was evaluated.

    Returns:
        The directory.

    Raises:
        BundleError: The directory exists.
    """
    if directory.exists():
        raise BundleError(f"{directory} exists already; choose another directory or remove it")
    contents = {
        files.WEIGHTS: files.weights_bytes(_weights(bundle)),
        files.AREAS: files.areas_csv(bundle.areas),
        files.EDGES: files.edges_csv(bundle.areas),
        files.GOLDEN: files.golden_npz(*golden_cases(bundle)),
        files.CARD: card(bundle).encode(),
    }
    if bundle.arrays:
        contents[files.PROCESS] = files.weights_bytes(bundle.arrays)
    if evaluation is not None:
        contents[files.EVALUATION] = evaluation.encode()
    listed = {
        name: FileInfo(sha256=files.checksum(data), bytes=len(data))
        for name, data in sorted(contents.items())
    }
    info = bundle.info.model_copy(update={"files": listed})
    contents[files.INFO] = (info.model_dump_json(indent=1) + "\n").encode()
    sums = [f"{files.checksum(data)}  {name}\n" for name, data in sorted(contents.items())]
    contents[files.CHECKSUMS] = "".join(sums).encode()
    _place(contents, directory)
    return directory


def _weights(bundle: Bundle) -> dict[str, np.ndarray]:
    """Return the decoder's weights, and those of its features where it has them."""
    return {**bundle.weights, **(bundle.features.weights if bundle.features else {})}


def golden_cases(bundle: Bundle) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `z (case, latent)`, `theta (case, cond)` and `f (case, area)`, float64.

    Latents are from the bundle's seed, conditions spread over the trained range.
    """
    rng = np.random.default_rng(bundle.info.seed)
    z = rng.standard_normal((_CASES, bundle.latent_dim))
    theta = (
        np.stack([rng.permutation(c.grid(_CASES)) for c in bundle.conditions], axis=-1)
        if (bundle.conditions)
        else np.zeros((_CASES, 0))
    )
    names = [c.name for c in bundle.conditions]
    f = [
        bundle.decode_numpy(row, dict(zip(names, values, strict=True)))
        for row, values in zip(z, theta, strict=True)
    ]
    return z, theta, np.stack(f)


def _place(contents: dict[str, bytes], directory: Path) -> None:
    """Write to a sibling first and rename, so that no partial bundle is ever seen."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        for name, data in contents.items():
            (staged / name).write_bytes(data)
        staged.chmod(0o755)
        staged.rename(directory)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
