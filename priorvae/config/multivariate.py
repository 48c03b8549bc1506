"""Several outcomes on one map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from priorvae.config.graph import Share
from priorvae.config.hyper import HyperConfig, check_unitless
from priorvae.config.section import Section
from priorvae.config.spatial import SpatialConfig
from priorvae.errors import nearest

__all__ = ["MultivariateConfig"]

_Spatial = Annotated[SpatialConfig, Field(discriminator="kind")]


class MultivariateConfig(Section):
    """Outcomes that share spatial components.

    Either the shared-component model (`shared`, `specific`, `shares`) or linear coregionalisation
    (`components`, `loadings`).

    Attributes:
        outcomes: Names of the outcomes.
        shared: Process of the component that all outcomes share.
        specific: Process of each outcome's own component; that of `shared` where None, with the
            same hyperparameters.
        shares: By outcome: share of its variance that is shared.
        components: Processes of the components, two or more.
        loadings: By outcome: its loading on each component; only their ratios count, since they
            are scaled to unit variance.
    """

    kind: Literal["multivariate"]
    outcomes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")], ...]
    shared: _Spatial | None = None
    specific: _Spatial | None = None
    shares: dict[str, Share] | None = None
    components: tuple[_Spatial, ...] = ()
    loadings: dict[str, tuple[HyperConfig, ...]] | None = None

    @pydantic.field_validator("outcomes")
    @classmethod
    def _several(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) < 2 or len(set(value)) < len(value):
            raise ValueError(f"needs at least two different outcomes (got {', '.join(value)})")
        return value

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.components:
            if self.shared or self.specific or self.shares:
                raise ValueError(
                    "`components` and `loadings` stand in place of `shared`, `specific` and "
                    "`shares`: keep one of the two forms"
                )
            if len(self.components) < 2:
                raise ValueError("`components` needs at least two, or all outcomes are one (got 1)")
            self._check_names("loadings", self.loadings)
            self._check_loadings(self.loadings or {})
        elif self.shared is None:
            raise ValueError("needs `shared` and `shares`, or `components` and `loadings`")
        elif self.loadings is not None:
            raise ValueError("`loadings` belong to `components`, and `shared` has `shares`")
        else:
            self._check_names("shares", self.shares)
        return self

    def _check_names(self, key: str, given: Mapping[str, object] | None) -> None:
        for name in given or {}:
            if name not in self.outcomes:
                raise ValueError(
                    f"`{key}` of an unknown outcome {name!r}{nearest(name, self.outcomes)}"
                )
        missing = [name for name in self.outcomes if name not in (given or {})]
        if missing:
            raise ValueError(f"`{key}` lacks {', '.join(missing)}")

    def _check_loadings(self, loadings: dict[str, tuple[HyperConfig, ...]]) -> None:
        for outcome, row in loadings.items():
            if len(row) != len(self.components):
                raise ValueError(
                    f"`loadings.{outcome}` needs one for each of the {len(self.components)} "
                    f"components (got {len(row)})"
                )
            for loading in row:
                check_unitless("a loading", loading)
            constant = [loading.value for loading in row if loading.distribution == "constant"]
            if not any(constant):
                raise ValueError(
                    f"`loadings.{outcome}`: only ratios of loadings count, so one of them must be "
                    "a constant other than 0, such as 1"
                )
