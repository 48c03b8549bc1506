"""Draws of a configuration's process, without training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from priorvae.areas import read_areas
from priorvae.config import RunConfig
from priorvae.errors import InputError
from priorvae.processes import build_process
from priorvae.processes.simulate import simulate

__all__ = ["simulate_draws"]


def simulate_draws(config: RunConfig, *, num_draws: int, out: Path) -> None:
    """Write draws of a configuration's process to an .npz file.

    Arrays: `draws (draw, area)`, one array `(draw,)` for each hyperparameter, `area_ids (area,)`.

    Raises:
        InputError: The map or process cannot be used, or `out` exists or is not an .npz.
    """
    if out.suffix != ".npz":
        raise InputError(f"{out}: draws are written as .npz; give a name that ends in .npz")
    if out.exists():
        raise InputError(f"{out}: exists, and nothing is overwritten; choose another --out")
    areas = read_areas(**config.areas.model_dump())
    draws = simulate(jax.random.key(config.seed), build_process(config.process, areas), num_draws)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as file:
        arrays: dict[str, Any] = {"draws": draws.fields, "area_ids": np.array(areas.ids)}
        np.savez(file, **(arrays | draws.hyper))
    os.replace(partial, out)
