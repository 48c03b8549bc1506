"""A user's own simulator as the prior."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from priorvae.config.hyper import HyperConfig
from priorvae.config.section import Section

__all__ = ["FunctionConfig"]


_RESERVED = ("z", "scale", "draws", "area_ids", "simulation")
"""What a model's sites and an archive of draws call something else."""


def _not_reserved(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"`{name}` is taken by this package: choose another name")
    return name


_Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$"), pydantic.AfterValidator(_not_reserved)]


class FunctionConfig(Section):
    """A Python function `(key, hyper) -> (area,)`.

    Attributes:
        function: `module:name`, of an installed module or one beside the configuration's user.
        hyperparameters: By name, as the function receives them.
    """

    kind: Literal["function"]
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    hyperparameters: dict[_Name, HyperConfig] = Field(default={})

    @pydantic.field_validator("function", mode="before")
    @classmethod
    def _module_path(cls, value: object) -> object:
        if isinstance(value, str) and ":" not in value:
            raise ValueError("expected `module:function`, such as `epidemics.seir:simulate`")
        return value
