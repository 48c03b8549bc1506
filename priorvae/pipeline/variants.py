"""Configurations multiplied: the same decoder on other maps, and from other seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from priorvae.bundles import files
from priorvae.config import AreasConfig, RunConfig
from priorvae.pipeline.benchmarks import triangulated

__all__ = ["map_folder", "variants"]


def variants(
    configs: Sequence[RunConfig],
    *,
    maps: Sequence[str] = (),
    seeds: int = 1,
    posterior: bool = False,
) -> list[RunConfig]:
    """Return every configuration on its own map and on the others, from every seed.

    The names of the additional ones say what differs: `NAME-MAP-seedK`.

    Args:
        configs: The configurations.
        maps: Sources of further maps, as `read_areas` takes them.
        seeds: How many seeds: that of the configuration and those that follow it.
        posterior: Whether posteriors stay part of the certificates that ask for them.
    """
    return [
        _variant(config, source, number, posterior)
        for config in configs
        for source in (None, *maps)
        for number in range(seeds)
    ]


def _variant(config: RunConfig, source: str | None, number: int, posterior: bool) -> RunConfig:
    changed: dict[str, Any] = {"seed": config.seed + number}
    name = config.name
    if source is not None:
        changed |= {"areas": AreasConfig(source=source), "level": None, "iso3": None}
        # Data of the first map are of no use on another.
        posterior = False
        name += "-" + re.sub(r"[^A-Za-z0-9.-]+", "-", Path(source).stem)
    if number > 0:
        name += f"-seed{config.seed + number}"
    if not posterior:
        changed["certificate"] = config.certificate.model_copy(update={"posterior": None})
    return config.model_copy(update={**changed, "name": name})


def map_folder(num_areas: int, directory: Path) -> str:
    """Write a map of triangulated random points as a folder that `read_areas` reads.

    Returns:
        The folder. One that is there already is left as it is.
    """
    folder = directory / f"triangulated{num_areas}"
    if not (folder / files.EDGES).exists():
        areas = triangulated(num_areas)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / files.AREAS).write_bytes(files.areas_csv(areas))
        (folder / files.EDGES).write_bytes(files.edges_csv(areas))
    return str(folder)
