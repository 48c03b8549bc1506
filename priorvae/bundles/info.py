"""`bundle.json`: what a bundle says of itself."""

from __future__ import annotations

from typing import Any, Literal, Self

import pydantic
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from priorvae.config import ChoiceConfig
from priorvae.processes.conditions import Condition

__all__ = [
    "FORMAT_VERSION",
    "BoundaryInfo",
    "BundleInfo",
    "CertificateInfo",
    "ConditionInfo",
    "FeaturesInfo",
    "FileInfo",
    "FunctionInfo",
    "LayersInfo",
    "ProcessInfo",
    "TrainingInfo",
]

FORMAT_VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ConditionInfo(_Part):
    """One hyperparameter; see `priorvae.processes.Condition`."""

    name: str
    unit: str
    low: float
    high: float
    transform: Literal["log", "identity", "log1m", "arcsine", "asin", "category"]
    distribution: Literal["uniform", "loguniform", "normal", "lognormal", "beta", "categorical"]
    parameters: dict[str, float] = {}
    labels: tuple[str, ...] = ()

    @pydantic.model_validator(mode="after")
    def _categories(self) -> Self:
        """Labels, transform, distribution and range must all say the same."""
        categorical = self.distribution == "categorical"
        fits = (self.low, self.high) == (0, len(self.labels) - 1) and len(self.labels) > 1
        if categorical != bool(self.labels) or categorical != (self.transform == "category"):
            raise ValueError("`labels`, `category` and `categorical` belong together")
        if categorical and not fits:
            raise ValueError(f"{len(self.labels)} categories count from 0 to one less")
        return self

    def to_condition(self) -> Condition:
        """Return the condition this record describes."""
        return Condition(**self.model_dump())


class LayersInfo(_Part):
    """What is stacked on the map; see `priorvae.processes.Layers`."""

    name: str
    labels: tuple[str, ...]


class FunctionInfo(_Part):
    """A user's function that is the process; nothing imports it because a bundle names it.

    Attributes:
        module: Module it came from.
        name: Its name there.
        sha256: Checksum of the module's file.
        compiled: Whether JAX compiled it.
    """

    module: str
    name: str
    sha256: str
    compiled: bool

    @property
    def path(self) -> str:
        """`module:name`."""
        return f"{self.module}:{self.name}"


class ProcessInfo(_Part):
    """The prior the decoder stands for: enough to simulate it again.

    Attributes:
        kind: Kind of process.
        kernel: Of a Gaussian process.
        nugget: Variance added to the diagonal.
        fixed: Hyperparameters held constant.
        hyperprior: The free ones.
        config: The section `process` of the configuration, with every length in km.
        function: The user's function, where the process is one.
    """

    kind: str
    kernel: str | None
    nugget: NonNegativeFloat
    fixed: dict[str, float]
    hyperprior: tuple[ConditionInfo, ...]
    config: dict[str, Any]
    function: FunctionInfo | None = None


class FeaturesInfo(_Part):
    """What continues a decoder between its areas; see `priorvae.decoders.features.FeatureMap`.

    Attributes:
        low: South-west corner of the box where it holds, in km on the map's projection.
        high: North-east corner.
        layers: Layer records, from coordinates to features.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    layers: list[dict[str, Any]]


class BoundaryInfo(_Part):
    """Where the map came from."""

    source: str
    licence: str | None
    year: str | None
    sha256: str | None
    crs: str | None
    extent_km: float | None


class RoundInfo(_Part):
    """One round of training: what it had that the one before had not, and what failed after it."""

    steps: NonNegativeInt
    changes: str
    failed: list[str]


class TrainingInfo(_Part):
    """What the weights cost, or zeros for an analytic decoder."""

    steps: NonNegativeInt
    seconds: NonNegativeFloat
    device: str
    rounds: list[RoundInfo] = []


class FileInfo(_Part):
    """One file of the bundle."""

    sha256: str
    bytes: NonNegativeInt


class CertificateInfo(_Part):
    """The verdict, its figures and the bounds they were held against."""

    status: Literal["passed", "failed", "not evaluated"]
    figures: list[dict[str, Any]] = []
    thresholds: dict[str, Any] = {}


class BundleInfo(_Part):
    """The whole of `bundle.json`."""

    format_version: Literal[1]
    id: str
    name: str
    type: str
    level: str | None
    iso3: str | None
    priorvae_version: str
    git_commit: str | None
    created: str
    seed: int
    process: ProcessInfo
    conditions: tuple[ConditionInfo, ...]
    latent_dim: PositiveInt
    num_areas: PositiveInt
    layers: LayersInfo | None = None
    decoder: list[dict[str, Any]]
    features: FeaturesInfo | None = None
    dtype: Literal["float32", "float64"]
    areas_sha256: str
    boundary: BoundaryInfo
    training: TrainingInfo
    choice: ChoiceConfig | None = None
    certificate: CertificateInfo = CertificateInfo(status="not evaluated")
    files: dict[str, FileInfo] = {}
