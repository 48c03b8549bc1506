"""Draws of a configuration's process, streamed to a file."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from priorvae.areas import Areas, read_areas
from priorvae.config import RunConfig
from priorvae.errors import InputError
from priorvae.listener import Listener, Silent
from priorvae.processes import build_process
from priorvae.processes.samplers import Sampler, build_sampler
from priorvae.processes.simulate import BLOCK, Draws, simulate

__all__ = ["simulate_draws"]


def simulate_draws(
    config: RunConfig,
    *,
    num_draws: int,
    out: Path,
    sampler: str = "auto",
    listener: Listener | None = None,
) -> Sampler:
    """Write draws of a configuration's process, holding one block of them in memory.

    Arrays: `draws (draw, area)`, one array `(draw,)` for each hyperparameter, `area_ids (area,)`,
    and `simulation`, a JSON text that records the process, the sampler and its error.

    Args:
        config: The run's configuration; its `seed` is the seed of the draws.
        num_draws: How many.
        out: File to write, `.npz` or `.zarr`; must not exist.
        sampler: `auto`, or a name in `priorvae.processes.samplers.SAMPLERS`.
        listener: Told about the progress.

    Returns:
        The sampler that was used.

    Raises:
        InputError: The map, process or sampler cannot be used, or `out` exists or is of another
            kind. Nothing is written then.
    """
    listener = listener or Silent()
    if out.suffix not in _WRITERS:
        raise InputError(f"{out}: draws are written as .npz or .zarr; give a name that ends so")
    if out.exists():
        raise InputError(f"{out}: exists, and nothing is overwritten; choose another --out")
    listener.stage("Preparing the sampler")
    areas = read_areas(**config.areas.model_dump())
    process = build_process(config.process, areas)
    source = build_sampler(process, sampler)
    blocks = simulate(jax.random.key(config.seed), process, source, num_draws)
    record = {
        "name": config.name,
        "seed": config.seed,
        "process": config.process.model_dump(mode="json"),
        "areas_sha256": areas.fingerprint(),
        "sampler": source.name,
        "relative_error_of_the_root": source.error,
    }
    names = [condition.name for condition in process.conditions]
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    listener.stage("Drawing")
    try:
        shown = _shown(blocks, num_draws, listener)
        _WRITERS[out.suffix](partial, shown, num_draws, names, areas, record)
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise
    return source


def _shown(blocks: Iterator[Draws], num_draws: int, listener: Listener) -> Iterator[Draws]:
    for index, block in enumerate(blocks):
        yield block
        listener.count(min((index + 1) * BLOCK, num_draws), num_draws)


def _write_npz(
    path: Path,
    blocks: Iterator[Draws],
    num_draws: int,
    names: list[str],
    areas: Areas,
    record: dict[str, Any],
) -> None:
    """Stream the fields into the archive; the few hyperparameters are kept till last."""
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("draws.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": (num_draws, len(areas))}
            np.lib.format.write_array_header_2_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block.fields, dtype="<f8").data)
                for name in names:
                    kept[name].append(block.hyper[name])
        rest = {name: np.concatenate(series) for name, series in kept.items()}
        rest |= {"area_ids": np.array(areas.ids), "simulation": np.array(json.dumps(record))}
        for name, array in rest.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _write_zarr(
    path: Path,
    blocks: Iterator[Draws],
    num_draws: int,
    names: list[str],
    areas: Areas,
    record: dict[str, Any],
) -> None:
    try:
        import zarr
    except ImportError:
        raise InputError("a .zarr needs the package zarr: pip install 'priorvae[zarr]'") from None

    group = zarr.open_group(path, mode="w")
    group.attrs.update({"simulation": record, "area_ids": list(areas.ids)})
    shape, chunks = (num_draws, len(areas)), (min(BLOCK, num_draws), len(areas))
    fields = group.create_array("draws", shape=shape, chunks=chunks, dtype="float64")
    series = {
        name: group.create_array(name, shape=shape[:1], chunks=chunks[:1], dtype="float64")
        for name in names
    }
    for index, block in enumerate(blocks):
        rows = slice(index * BLOCK, index * BLOCK + len(block.fields))
        fields[rows] = block.fields
        for name in names:
            series[name][rows] = block.hyper[name]


_WRITERS = {".npz": _write_npz, ".zarr": _write_zarr}
