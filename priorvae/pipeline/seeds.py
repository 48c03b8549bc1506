"""Trainings of the same decoder from several seeds: how many fail, and how far they scatter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from priorvae.evaluation.prior import shortfall
from priorvae.pipeline.decoders import FROM_POSTERIOR, FROM_PRIOR, DecoderRow

__all__ = ["SeedSummary", "over_seeds"]


class SeedSummary(NamedTuple):
    """The same configuration on the same map, trained from several seeds."""

    name: str
    type: str
    areas: int
    seeds: int
    failed: int
    """Trainings that ended in an error."""
    uncertified: int
    """Trainings that ended, with a certificate that failed."""
    median: dict[str, float]
    """Median of each figure over the trainings that ended."""
    worst: dict[str, float]
    """Worst of each figure."""


def over_seeds(rows: Sequence[DecoderRow]) -> list[SeedSummary]:
    """Return, for each configuration, type and map, how its trainings compare.

    Args:
        rows: Rows of `bench_decoders`; names of all seeds but the first end with `-seedK`.
    """
    groups: dict[tuple[str, str, str], list[DecoderRow]] = {}
    for row in rows:
        name = row.name.removesuffix(f"-seed{row.seed}")
        groups.setdefault((name, row.type, row.map), []).append(row)
    return [_summary(name, found) for (name, *_), found in groups.items()]


def _summary(name: str, rows: list[DecoderRow]) -> SeedSummary:
    ended = [row for row in rows if row.error is None]
    values = {
        figure: [row.figures[figure] for row in ended if figure in row.figures]
        for figure in (*FROM_PRIOR, *FROM_POSTERIOR)
    }
    values["cpu_seconds"] = [row.cpu_seconds for row in ended if row.cpu_seconds is not None]
    present = {figure: found for figure, found in values.items() if found}
    return SeedSummary(
        name=name,
        type=rows[0].type,
        areas=rows[0].areas,
        seeds=len(rows),
        failed=len(rows) - len(ended),
        uncertified=sum(row.certificate != "passed" for row in ended),
        median={figure: float(np.median(found)) for figure, found in present.items()},
        worst={figure: _worst(figure, found) for figure, found in present.items()},
    )


def _worst(figure: str, values: Sequence[float]) -> float:
    return max(values, key=lambda value: shortfall(figure, value))
