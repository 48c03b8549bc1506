"""The directory a fit is written to: all of it, or nothing."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from priorvae import __version__
from priorvae.areas import Areas
from priorvae.errors import InputError
from priorvae.inference.maps import can_map, draw_posterior
from priorvae.inference.sampling import Fit
from priorvae.inference.summary import area_table, parameter_table

__all__ = ["check_out", "new_directory", "write_fit"]

_PACKAGES = ("jax", "numpyro", "arviz", "numpy", "formulaic")
_DIGITS = "%.6g"


def write_fit(
    fit: Fit, out: Path, *, areas: Areas | None = None, record: Mapping[str, object] | None = None
) -> None:
    """Write `posterior.nc`, `parameters.csv`, `areas.csv`, `map.png` and `fit.json`.

    Of a corrected fit they hold the corrected draws; the sampler's own are in `decoder.nc`.

    Args:
        fit: What to write.
        out: A directory that does not exist, or is empty.
        areas: The map, for names and `map.png`; without places on it there is no picture.
        record: What else `fit.json` shall say: the bundle, the data, the seed.

    Raises:
        InputError: `out` exists and is not an empty directory, or cannot be written.
        DataError: The map lacks some of the areas.
    """
    with new_directory(out) as folder:
        fit.idata.to_netcdf(str(folder / "posterior.nc"), engine="h5netcdf")
        if fit.correction is not None and fit.correction.applied:
            fit.correction.sampled.to_netcdf(str(folder / "decoder.nc"), engine="h5netcdf")
        parameter_table(fit).to_csv(folder / "parameters.csv", float_format=_DIGITS)
        table = area_table(fit, _names(fit, areas))
        table.to_csv(folder / "areas.csv", float_format=_DIGITS)
        if areas is not None and can_map(areas):
            draw_posterior(fit, areas).savefig(folder / "map.png")
        (folder / "fit.json").write_text(json.dumps(_record(fit, record or {}), indent=2) + "\n")


def check_out(out: Path) -> None:
    """Refuse a directory that holds anything.

    Raises:
        InputError: `out` is a file, or a directory that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: exists and is not an empty directory; nothing was overwritten: choose "
            "another --out, or move it away"
        )


@contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """Give a temporary directory that becomes `out` on success, and vanishes on failure.

    Raises:
        InputError: `out` is not an empty directory, or cannot be written.
    """
    check_out(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    try:
        yield folder
        folder.chmod(0o755)
        check_out(out)
        # Renaming onto an empty directory replaces it; onto anything else it fails.
        os.replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _names(fit: Fit, areas: Areas | None) -> list[str] | None:
    if areas is None:
        return None
    by_id = dict(zip(areas.ids, areas.names, strict=True))
    return [by_id.get(area, area) for area in fit.data.area_ids]


def _record(fit: Fit, record: Mapping[str, object]) -> dict[str, object]:
    return {
        "formula": fit.data.formula.text,
        "family": fit.data.family.name,
        "num_areas": len(fit.data.area_ids),
        "measure": fit.data.measure,
        **record,
        **({} if fit.correction is None else {"correction": fit.correction.to_dict()}),
        "diagnostics": fit.diagnostics.to_dict(),
        "versions": {"priorvae": __version__, **{name: version(name) for name in _PACKAGES}},
    }
