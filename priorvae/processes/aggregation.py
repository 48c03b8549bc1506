"""From a configuration and polygons to an aggregated process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from priorvae.areas.types import Areas
from priorvae.config import AggregatedConfig, GPConfig
from priorvae.processes.aggregated import Aggregated, TransformedAggregate, fine_map
from priorvae.processes.base import Gaussian
from priorvae.processes.hypers import separate

__all__ = ["build_aggregated"]

FineProcess = Callable[[GPConfig, Areas], Gaussian]


class _Plan(NamedTuple):
    """What an aggregated process is made of, beside its configuration."""

    areas: Areas
    """All boundary systems as one map."""
    places: np.ndarray
    """Centres of cells, or points, `(cell, 2)` in km."""
    weights: sp.csr_array
    """What carries values at the places to areas, `(area, cell)`."""


def build_aggregated(
    config: AggregatedConfig,
    areas: Areas,
    arrays: Mapping[str, np.ndarray] | None,
    build_fine: FineProcess,
) -> Aggregated | TransformedAggregate:
    """Build an aggregated process.

    Args:
        config: Its configuration, lengths in km.
        areas: The main map; with `arrays`, all boundary systems joined.
        arrays: What such a process's `arrays` held, in place of polygons and files.
        build_fine: Builds the fine process on a map of cells or points.

    Raises:
        AreasError: A map, or a file of points or people, cannot be used.
        ProcessError: The fine process cannot live on the cells or points.
    """
    plan = _restored(areas, arrays) if arrays else _from_polygons(config, areas)
    fine = build_fine(config.of, fine_map(plan.areas, plan.places))
    if config.amplitude is None:
        return Aggregated(plan.areas, fine, plan.weights, fine.conditions, fine.fixed, fine.nugget)
    conditions, fixed = separate({"amplitude": config.amplitude})
    return TransformedAggregate(
        areas=plan.areas,
        fine=fine,
        weights=plan.weights,
        nonlinearity=config.nonlinearity,
        conditions=(*fine.conditions, *conditions),
        fixed={**fine.fixed, **fixed},
        nugget=fine.nugget,
    )


def _restored(areas: Areas, arrays: Mapping[str, np.ndarray]) -> _Plan:
    """Read what `aggregation_arrays` wrote."""
    parts = (arrays["weights.data"], arrays["weights.indices"], arrays["weights.indptr"])
    places = arrays["places"]
    return _Plan(areas, places, sp.csr_array(parts, shape=(len(areas), len(places))))


def _from_polygons(config: AggregatedConfig, areas: Areas) -> _Plan:
    # Only here, where polygons are cut, is the geospatial stack needed: not to use a bundle.
    from priorvae.areas.features import read_features
    from priorvae.areas.polygons import polygons_of
    from priorvae.areas.read import read_areas
    from priorvae.areas.support import on_cells, on_points
    from priorvae.areas.union import join_systems

    others = {name: read_areas(**one.model_dump()) for name, one in config.systems.items()}
    plane, joined = polygons_of(areas), join_systems(areas, others)
    sizes = (len(areas), *(len(other) for other in others.values()))
    people = config.population
    if config.points is not None:
        column = None if people is None else people.column
        points = read_features(plane=plane, column=column, **config.points.model_dump())
        support = on_points(joined, sizes, points)
    else:
        assert config.cells is not None
        homes = None if people is None else read_features(plane=plane, **people.model_dump())
        support = on_cells(joined, sizes, config.cells, homes)
    mean = config.statistic == "mean"
    return _Plan(joined, support.places, _averaging(support.weights) if mean else support.weights)


def _averaging(weights: sp.csr_array) -> sp.csr_array:
    """Scale rows to sums of 1."""
    return sp.csr_array(sp.diags_array(1 / weights.sum(axis=1)) @ weights)
