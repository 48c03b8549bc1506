"""One map a layer: how values of layered processes are taken apart to be drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from priorvae.processes.base import Layers

__all__ = ["Panel", "layer_panels", "spread"]


class Panel(NamedTuple):
    """What one map shows."""

    title: str
    """Such as `time 2003`; empty where there are no layers."""
    values: np.ndarray
    """One value an area, `(area,)`."""


def layer_panels(
    values: np.ndarray, layers: Layers | None, most: int, keep: int = 0
) -> tuple[Panel, ...]:
    """Return a panel for each layer of a field `(size,)`, or for some of many.

    Args:
        values: The field.
        layers: The layers; one panel shows it all where None.
        most: Panels at most.
        keep: Position of a layer that must be among them.
    """
    if layers is None:
        return (Panel("", values),)
    rows = values.reshape(len(layers.labels), -1)
    chosen = spread(len(rows), most, keep)
    return tuple(Panel(f"{layers.name} {layers.labels[i]}", rows[i]) for i in chosen)


def spread(num: int, most: int, keep: int = 0) -> list[int]:
    """Return positions among `num`, the first, the last and even steps between; `keep` for one."""
    if num <= most:
        return list(range(num))
    chosen = np.linspace(0, num - 1, most).round().astype(int)
    if keep not in chosen:
        chosen[np.abs(chosen - keep).argmin()] = keep
    return sorted(chosen.tolist())
