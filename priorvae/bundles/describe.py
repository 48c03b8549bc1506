"""What a bundle says of a decoder, gathered from the objects that made it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from priorvae.areas.types import Areas
from priorvae.bundles.info import (
    FORMAT_VERSION,
    BoundaryInfo,
    BundleInfo,
    ConditionInfo,
    FeaturesInfo,
    FunctionInfo,
    LayersInfo,
    ProcessInfo,
    TrainingInfo,
)
from priorvae.config import ChoiceConfig, ProcessConfig
from priorvae.decoders.features import FeatureMap
from priorvae.decoders.spec import Decoder, Weights
from priorvae.environment import git_commit
from priorvae.processes.base import Process
from priorvae.processes.conditions import Condition
from priorvae.processes.function import FunctionProcess
from priorvae.processes.gp import GP
from priorvae.processes.hypers import in_km

__all__ = ["describe"]

UNTRAINED = TrainingInfo(steps=0, seconds=0.0, device="none")


def describe(
    decoder: Decoder,
    weights: Weights,
    process: Process,
    config: ProcessConfig,
    *,
    name: str,
    type: str,
    seed: int,
    level: str | None = None,
    iso3: str | None = None,
    training: TrainingInfo = UNTRAINED,
    features: FeatureMap | None = None,
    choice: ChoiceConfig | None = None,
) -> BundleInfo:
    """Return the metadata of a decoder that stands for a process, not yet evaluated.

    Args:
        decoder: The decoder's specification.
        weights: Its weights, for their type.
        process: What it stands for.
        config: Its configuration.
        name: Name of the run.
        type: Published name of the kind of decoder, such as `PriorCVAE`.
        seed: Seed of the run.
        level: Administrative level, such as `adm2`.
        iso3: Country.
        training: What the weights cost; nothing for an analytic decoder.
        features: What continues the decoder between the areas, where it is known there.
        choice: Why this decoder, where it was chosen by `type: auto`.
    """
    from priorvae import __version__

    info = _process(process, config)
    place = f"{level or 'areas'}/{iso3 or name}"
    return BundleInfo(
        format_version=FORMAT_VERSION,
        id=f"{type}/{place}/{info.kernel or info.kind}@{__version__}",
        name=name,
        type=type,
        level=level,
        iso3=iso3,
        priorvae_version=__version__,
        git_commit=git_commit(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        process=info,
        conditions=_conditions(decoder.conditions),
        latent_dim=decoder.latent_dim,
        num_areas=len(process.areas),
        layers=_layers(process),
        decoder=decoder.records(),
        features=_features(features),
        dtype=str(next(iter(weights.values())).dtype),  # type: ignore[arg-type]
        areas_sha256=process.areas.fingerprint(),
        boundary=_boundary(process.areas),
        training=training,
        choice=choice,
    )


def _process(process: Process, config: ProcessConfig) -> ProcessInfo:
    return ProcessInfo(
        kind=process.kind,
        kernel=process.kernel if isinstance(process, GP) else None,
        nugget=process.nugget,
        fixed=dict(process.fixed),
        hyperprior=_conditions(process.conditions),
        config=in_km(config, process.areas).model_dump(mode="json"),
        function=FunctionInfo(**process.record) if isinstance(process, FunctionProcess) else None,
    )


def _layers(process: Process) -> LayersInfo | None:
    return None if process.layers is None else LayersInfo(**process.layers._asdict())


def _features(features: FeatureMap | None) -> FeaturesInfo | None:
    if features is None:
        return None
    box, layers = features.box, features.network.records()
    return FeaturesInfo(low=box.low, high=box.high, layers=layers)


def _conditions(conditions: tuple[Condition, ...]) -> tuple[ConditionInfo, ...]:
    return tuple(ConditionInfo(**asdict(condition)) for condition in conditions)


def _boundary(areas: Areas) -> BoundaryInfo:
    source = areas.provenance
    return BoundaryInfo(
        source=source.source,
        licence=source.licence,
        year=source.year,
        sha256=source.sha256,
        crs=areas.crs,
        extent_km=areas.extent,
    )
