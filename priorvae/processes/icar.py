"""The intrinsic conditional autoregression, scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np

from priorvae.areas.types import Areas
from priorvae.errors import ProcessError, preview
from priorvae.processes.base import Eigenbasis, Hyper
from priorvae.processes.conditions import Condition
from priorvae.processes.graph import Spectrum, laplacian, spectrum
from priorvae.processes.intrinsic import Intrinsic
from priorvae.processes.spectral import Spectral

__all__ = ["ICAR", "scaled_spectrum"]


def scaled_spectrum(intrinsic: Intrinsic) -> Spectrum:
    """Return the eigenvalues and eigenvectors of the scaled ICAR's covariance.

    Within a component the covariance is the pseudo-inverse of `D - W`, divided by the geometric
    mean of its diagonal: its marginal variances then have geometric mean 1. A singleton is N(0, 1).
    """
    precisions, vectors = spectrum(laplacian(intrinsic.areas))
    labels = intrinsic.labels
    # An eigenvector belongs to the component on which it is not zero; the first is its null one.
    owner = np.repeat(np.arange(labels.max() + 1), np.bincount(labels))
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    _, representative = np.unique(labels, return_index=True)
    singleton = np.bincount(labels) == 1
    precisions[first] = np.where(singleton, 1.0, np.inf)
    return Spectrum(1 / (precisions * intrinsic.scales[representative][owner]), vectors)


@final
@dataclass(frozen=True, eq=False)
class ICAR(Spectral):
    """`f` with precision `D - W`, scaled, summing to zero in each connected component.

    The root is `U s^1/2 U'` over the eigenvectors `U` of positive variance `s`, so the covariance
    has rank n less the number of components of two areas or more. There is no hyperparameter.

    Source: Besag, York and Mollie (1991), Annals of the Institute of Statistical Mathematics 43;
    `Intrinsic` for the scale.

    Raises:
        ProcessError: A hyperparameter is given.
    """

    areas: Areas
    conditions: tuple[Condition, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    nugget: float = 0.0
    kind: str = "icar"
    transform: ClassVar[str] = "identity"

    def __post_init__(self) -> None:
        given = [c.name for c in self.conditions] + list(self.fixed)
        if given:
            raise ProcessError(f"icar: has no hyperparameter, got {preview(given)}; use bym2")

    @cached_property
    def intrinsic(self) -> Intrinsic:
        """The same field by sparse factorisation."""
        return Intrinsic(self.areas)

    @cached_property
    def eigenbasis(self) -> Eigenbasis:
        """`U` and `U'` without the null vectors, with a gate that is constant."""
        variances, vectors = scaled_spectrum(self.intrinsic)
        kept = variances > 0
        sds = np.sqrt(variances[kept])

        def gate(hyper: Hyper) -> Any:
            return sds

        return Eigenbasis(vectors[:, kept], vectors[:, kept].T, gate)
