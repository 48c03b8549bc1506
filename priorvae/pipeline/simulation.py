"""Draws of a configuration's process, streamed to a file."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from priorvae.areas import read_areas
from priorvae.config import RunConfig
from priorvae.errors import InputError
from priorvae.listener import Listener, Silent
from priorvae.processes import Process, build_process
from priorvae.processes.function import FunctionProcess
from priorvae.processes.samplers import Sampler, build_sampler
from priorvae.processes.simulate import Draws, block_size, simulate

__all__ = ["simulate_draws"]


def simulate_draws(
    config: RunConfig,
    *,
    num_draws: int,
    out: Path,
    sampler: str | None = None,
    listener: Listener | None = None,
) -> Sampler:
    """Write draws of a configuration's process, holding one block of them in memory.

    Arrays: `draws (draw, area)`, one array `(draw,)` for each hyperparameter, `area_ids (area,)`,
    and `simulation`, a JSON text that records the process, the sampler and its error. Of a
    category the array holds labels.

    Args:
        config: The run's configuration; its `seed` is the seed of the draws.
        num_draws: How many.
        out: File to write, `.npz` or `.zarr`; must not exist.
        sampler: `auto`, or a name in `priorvae.processes.samplers.SAMPLERS`; that of the
            configuration where None.
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
    source = build_sampler(process, sampler or config.sampler)
    record = {
        "name": config.name,
        "seed": config.seed,
        "process": config.process.model_dump(mode="json"),
        "areas_sha256": process.areas.fingerprint(),
        "sampler": source.name,
        "relative_error_of_the_root": source.error,
    }
    if isinstance(process, FunctionProcess):
        record["function"] = process.record
    layout = _Layout(process, num_draws, record)
    blocks = simulate(jax.random.key(config.seed), process, source, num_draws)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    listener.stage("Drawing")
    try:
        _WRITERS[out.suffix](partial, _shown(blocks, layout, listener), layout)
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise
    return source


class _Layout(NamedTuple):
    """What an archive of draws holds beside the draws."""

    process: Process
    num_draws: int
    record: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the draws: `(draw, area)`, or `(draw, layer, area)`."""
        layers = () if self.process.layers is None else (self.process.num_layers,)
        return (self.num_draws, *layers, len(self.process.areas))

    @property
    def names(self) -> list[str]:
        """Of the hyperparameters that vary."""
        return [condition.name for condition in self.process.conditions]

    def categories(self, name: str) -> tuple[str, ...]:
        """Labels of a hyperparameter; none where it is a number."""
        return next(c.labels for c in self.process.conditions if c.name == name)

    def written(self, name: str, values: np.ndarray) -> np.ndarray:
        """A hyperparameter's values as they are written: a category's as its labels."""
        labels = self.categories(name)
        return np.array(labels)[values.astype(int)] if labels else values

    @property
    def labels(self) -> dict[str, list[str]]:
        """Names along the axes of the draws."""
        layers = self.process.layers
        stacked = {} if layers is None else {layers.name: list(layers.labels)}
        return {"area_ids": list(self.process.areas.ids), **stacked}


def _shown(blocks: Iterator[Draws], layout: _Layout, listener: Listener) -> Iterator[Draws]:
    size = block_size(layout.process)
    for index, block in enumerate(blocks):
        yield block
        listener.count(min((index + 1) * size, layout.num_draws), layout.num_draws)


def _write_npz(path: Path, blocks: Iterator[Draws], layout: _Layout) -> None:
    """Stream the fields into the archive; the few hyperparameters are kept till last."""
    kept: dict[str, list[np.ndarray]] = {name: [] for name in layout.names}
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("draws.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": layout.shape}
            np.lib.format.write_array_header_2_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block.fields, dtype="<f8").data)
                for name in kept:
                    kept[name].append(block.hyper[name])
        rest = {name: layout.written(name, np.concatenate(all_)) for name, all_ in kept.items()}
        rest |= {name: np.array(labels) for name, labels in layout.labels.items()}
        rest["simulation"] = np.array(json.dumps(layout.record))
        for name, array in rest.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _write_zarr(path: Path, blocks: Iterator[Draws], layout: _Layout) -> None:
    try:
        import zarr
    except ImportError:
        raise InputError("a .zarr needs the package zarr: pip install 'priorvae[zarr]'") from None

    group = zarr.open_group(path, mode="w")
    group.attrs.update({"simulation": layout.record, **layout.labels})
    shape = layout.shape
    rows_each = min(block_size(layout.process), layout.num_draws)
    fields = group.create_array(
        "draws", shape=shape, chunks=(rows_each, *shape[1:]), dtype="float64"
    )
    series = {
        name: group.create_array(
            name,
            shape=shape[:1],
            chunks=(rows_each,),
            dtype="string" if layout.categories(name) else "float64",
        )
        for name in layout.names
    }
    start = 0
    for block in blocks:
        rows = slice(start, start + len(block.fields))
        fields[rows] = block.fields.reshape(-1, *shape[1:])
        for name, values in series.items():
            values[rows] = layout.written(name, block.hyper[name])
        start = rows.stop


_WRITERS = {".npz": _write_npz, ".zarr": _write_zarr}
