"""Several outcomes on one map, correlated by the components they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.config import MultivariateConfig, SpatialConfig
from priorvae.processes.base import Gaussian, Hyper, Layers
from priorvae.processes.conditions import Condition
from priorvae.processes.hypers import separate
from priorvae.processes.mixing import Mixing, Terms, array_module, columns, from_terms
from priorvae.processes.stacked import Stacked

__all__ = ["Coregionalisation", "SharedComponent", "build_multivariate"]


def build_multivariate(
    config: MultivariateConfig,
    areas: Areas,
    spatial: Callable[[SpatialConfig, Areas], Gaussian],
) -> Stacked:
    """Build the shared-component model or linear coregionalisation, lengths in km.

    Args:
        config: Its configuration.
        areas: The map.
        spatial: Builds a process on one map.

    Raises:
        ProcessError: A component cannot live on this map.
    """
    names = config.outcomes
    mixing: Mixing
    if config.shared is not None:
        assert config.shares is not None
        parts = [config.shared] if config.specific is None else [config.shared, config.specific]
        shares = {f"share_{name}": config.shares[name] for name in names}
        mixing = SharedComponent(names, *separate(shares, "arcsine"), apart=len(parts) > 1)
    else:
        assert config.loadings is not None
        parts = list(config.components)
        loadings = {
            f"loading_{name}_{index}": loading
            for name in names
            for index, loading in enumerate(config.loadings[name], start=1)
        }
        mixing = Coregionalisation(names, len(parts), *separate(loadings, "identity"))
    processes = tuple(spatial(part, areas) for part in parts)
    return Stacked("multivariate", Layers("outcome", names), mixing, processes)


@final
@dataclass(frozen=True, eq=False)
class SharedComponent(Mixing):
    """`f_k = sqrt(share_k) u_0 + sqrt(1 - share_k) u_k` for outcome k: shared, and its own.

    Outcomes j and k correlate with `sqrt(share_j share_k)` in an area. On the arcsine scale, which
    a decoder sees, the two weights are a sine and a cosine.

    Source: Knorr-Held and Best (2001), JRSS A 164; with shares of variance in place of their
    relative weights, as BYM2 has them (Riebler et al. 2016).

    Attributes:
        outcomes: Their names.
        apart: Whether the outcomes' own components are of a second process.
    """

    outcomes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]
    apart: bool = False

    @property
    def owners(self) -> tuple[int, ...]:
        """The shared field's, then one each."""
        return (0, *(int(self.apart) for _ in self.outcomes))

    def matrix(self, hyper: Hyper) -> Any:
        """Return the weights, `(outcome, 1 + outcome)`."""
        return from_terms(self.terms, hyper)

    @cached_property
    def terms(self) -> Terms:
        """Two for each outcome."""
        num = len(self.outcomes)
        own = range(1, num + 1)
        fields = (*(0 for _ in own), *own)
        left = np.tile(np.eye(num), 2)
        return Terms(left, self._gate, fields, tuple(self.owners[field] for field in fields))

    def _gate(self, hyper: Hyper) -> Any:
        values = self.all_hyper(hyper)
        shares = columns([values[f"share_{name}"] for name in self.outcomes])
        xp = array_module(shares)
        return xp.sqrt(xp.concatenate([shares, 1 - shares], axis=-1))


@final
@dataclass(frozen=True, eq=False)
class Coregionalisation(Mixing):
    """`f_k = sum_q a_kq u_q / |a_k|` for outcome k: weighted sums of components of unit variance.

    Only the ratios of an outcome's loadings `a_k` count, and their sign; one of them is held
    constant, which fixes both.

    Source: Schmidt and Gelfand (2003), Journal of Geophysical Research 108; Gelfand et al. (2004),
    Test 13, section 3.

    Attributes:
        outcomes: Their names.
        num_components: Components, each a process of its own.
    """

    outcomes: tuple[str, ...]
    num_components: int
    conditions: tuple[Condition, ...]
    fixed: Mapping[str, float]

    @property
    def owners(self) -> tuple[int, ...]:
        """Each component is a process of its own."""
        return tuple(range(self.num_components))

    def matrix(self, hyper: Hyper) -> Any:
        """Return the scaled loadings, `(outcome, component)`."""
        return from_terms(self.terms, hyper)

    @cached_property
    def terms(self) -> Terms:
        """One for each outcome and component."""
        num = len(self.outcomes)
        fields = self.owners * num
        left = np.repeat(np.eye(num), self.num_components, axis=1)
        return Terms(left, self._gate, fields, fields)

    def _gate(self, hyper: Hyper) -> Any:
        values = self.all_hyper(hyper)
        indices = range(1, self.num_components + 1)
        every = columns([values[f"loading_{k}_{q}"] for k in self.outcomes for q in indices])
        rows = every.reshape(*every.shape[:-1], len(self.outcomes), self.num_components)
        xp = array_module(rows)
        unit = rows / xp.sqrt(xp.sum(rows**2, axis=-1, keepdims=True))
        return unit.reshape(every.shape)
