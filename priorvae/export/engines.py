"""Write a bundle for another engine, into a directory of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from priorvae.bundles import Bundle, load_bundle
from priorvae.bundles.gate import require_certified
from priorvae.decoders.engines import EngineNote, engine_notes
from priorvae.errors import InputError, nearest
from priorvae.export.brms import write_brms
from priorvae.export.numpyro import write_numpyro
from priorvae.export.stan import FAMILIES, write_stan

__all__ = ["ENGINES", "export_bundle", "note_for"]

ENGINES = ("stan", "brms", "numpyro")
"""Engines that a bundle is written for."""


def export_bundle(
    *,
    bundle: str | Path | Bundle,
    to: str,
    out: str | Path,
    family: str = "poisson",
    allow_uncertified: bool = False,
) -> list[Path]:
    """Write what an engine needs of a bundle.

    Args:
        bundle: Directory of the bundle, or the bundle as loaded from one.
        to: One of `ENGINES`.
        out: Directory to write; must not exist, or be empty. It appears whole or not at all.
        family: For Stan, the distribution of the data in the example.
        allow_uncertified: Whether to export a bundle without a certificate, or one that failed.

    Returns:
        The files.

    Raises:
        InputError: The engine or family is unknown, the bundle is not certified, or the directory
            is in use; nothing is written.
    """
    _known("--to", to, ENGINES)
    _known("--family", family, FAMILIES)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: in use, and nothing was overwritten; choose another --out")
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    require_certified(loaded, allow_uncertified)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as made:
        folder = Path(made) / "files"
        folder.mkdir()
        writers: dict[str, Callable[[Bundle, Path], list[Path]]] = {
            "stan": partial(write_stan, family=family),
            "brms": write_brms,
            "numpyro": write_numpyro,
        }
        files = [file.relative_to(folder) for file in writers[to](loaded, folder)]
        if out.exists():
            out.rmdir()
        shutil.move(folder, out)
    return [out / file for file in files]


def note_for(bundle: Bundle, engine: str) -> EngineNote:
    """Return whether an engine runs a bundle's decoder efficiently."""
    return next(note for note in engine_notes(bundle.decoder) if note.engine == engine)


def _known(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(
            f"{option} {value!r}{nearest(value, known)}; expected one of {', '.join(known)}"
        )
