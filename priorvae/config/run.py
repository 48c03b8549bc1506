"""One validated configuration a run: read from YAML, frozen, unknown keys refused."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
import yaml
from pydantic import BaseModel, Field

from priorvae.config.areas import AreasConfig
from priorvae.config.certificate import CertificateConfig
from priorvae.config.choice import ChoiceConfig
from priorvae.config.model import (
    EngressionConfig,
    LearntConfig,
    ModelConfig,
    PiVAEConfig,
    VAEConfig,
)
from priorvae.config.processes import ProcessConfig
from priorvae.config.section import Section
from priorvae.config.training import TrainingConfig
from priorvae.errors import ConfigError, nearest

__all__ = ["RunConfig", "dump_config", "load_config", "parse_config"]


class RunConfig(Section):
    """A whole run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    level: str | None = None
    iso3: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    areas: AreasConfig
    process: ProcessConfig
    sampler: str = "auto"
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    certificate: CertificateConfig = CertificateConfig()
    choice: ChoiceConfig | None = None

    @pydantic.model_validator(mode="after")
    def _type_fits(self) -> Self:
        if self.model.type == "aggVAE" and self.process.kind != "aggregated":
            raise ValueError(
                "model.type: an aggVAE learns an aggregated process: `process.kind` must be "
                f"`aggregated` (got {self.process.kind!r})"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _draws_fit(self) -> Self:
        reason = _why_random(self.model)
        if reason and self.training.draws == "columns":
            raise ValueError(
                f"training.draws: {reason}: set `draws: random` and a `batch_size` (got 'columns')"
            )
        return self


def _why_random(model: ModelConfig) -> str:
    """Return why a model must see random draws, and not the columns of a root; or nothing."""
    if isinstance(model, EngressionConfig):
        return "an Engression compares distributions of draws"
    if isinstance(model, LearntConfig) and model.structure != "gated-linear":
        return f"a network (model.structure {model.structure}) must see random draws"
    if isinstance(model, VAEConfig) and model.bound.kind != "elbo":
        return f"a bound of kind {model.bound.kind} depends on more than draws' second moment"
    if isinstance(model, PiVAEConfig) and model.weights.kind == "table":
        return "a table of weights is fitted to functions, `batch_size` of them a step"
    return ""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and validate a YAML configuration, with `a.b=value` overrides applied in order.

    Raises:
        ConfigError: The file is missing or not YAML, an override is malformed, or keys or values
            are invalid; all of them are listed, each as `file: dotted.key: what is wrong`.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error}") from None
    try:
        raw = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, got {type(raw).__name__}")
    for override in overrides:
        _apply_override(raw, override)
    return parse_config(raw, str(path))


def parse_config(raw: dict[str, Any], where: str) -> RunConfig:
    """Validate a configuration given as a mapping; `where` names it in messages.

    Raises:
        ConfigError: Keys or values are invalid; all of them are listed.
    """
    try:
        return RunConfig.model_validate(raw)
    except pydantic.ValidationError as error:
        lines = [f"{where}: {_describe(problem)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def dump_config(config: RunConfig) -> str:
    """Return the resolved configuration as YAML that `load_config` reads back unchanged."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a repeated key instead of keeping the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                mark = node.value[position][0].start_mark
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", mark
                )
        return super().construct_mapping(node, deep)


def _apply_override(raw: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not all(dotted.split(".")):
        raise ConfigError(f"--set {override}: expected `dotted.key=value`")
    *parents, last = dotted.split(".")
    section: Any = raw
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {parent!r} is a value, not a section")
    try:
        section[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: not a YAML value: {error}") from None


def _describe(problem: Any) -> str:
    """Turn one pydantic error into `dotted.key: what is wrong (got value)`."""
    location, models = _locate(problem["loc"])
    key = ".".join(location) or "configuration"
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        known = sorted({field for model in models for field in model.model_fields})
        return f"{key}: unknown key{nearest(location[-1], known)}"
    if kind == "union_tag_not_found":
        return f"{key}.{_tag(problem['ctx'])}: required, but not given"
    if kind == "missing":
        return f"{key}: required, but not given"
    if kind in ("literal_error", "union_tag_invalid"):
        context = problem["ctx"]
        known = (context.get("expected") or context["expected_tags"]).replace("'", "")
        options = known.replace(" or ", ", ").split(", ")
        word = given if kind == "literal_error" else given.get(_tag(context))
        return f"{key}: expected one of {known}{nearest(str(word), options)} (got {word!r})"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    shown = "" if "(got" in message or isinstance(given, dict) else f" (got {given!r})"
    return f"{key}: {message}{shown}"


def _tag(context: Mapping[str, str]) -> str:
    """Return the key by which alternatives are told apart: a process's `kind`, a model's `type`."""
    return context["discriminator"].strip("'")


def _locate(path: Sequence[str | int]) -> tuple[list[str], list[type[BaseModel]]]:
    """Return the place of an error as the file spells it, and the sections it may be in.

    Pydantic puts a process's `kind` and a model's `type` into the path; the file has no such level.
    """
    location: list[str] = []
    models: list[type[BaseModel]] = [RunConfig]
    inside = models
    for part in map(str, path):
        if part in {tag for model in inside for tag in _kinds(model)}:
            inside = [model for model in inside if part in _kinds(model)]
            continue
        location.append(part)
        models = inside
        fields = [model.model_fields[part] for model in inside if part in model.model_fields]
        if fields:
            inside = [model for field in fields for model in _sections(field.annotation)]
    return location, models


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections in an annotation: in unions, optional values, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _sections(part)


def _kinds(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the values of the key by which a section is told from its alternatives."""
    tags = [model.model_fields[key] for key in ("kind", "type") if key in model.model_fields]
    return tuple(value for tag in tags for value in typing.get_args(tag.annotation))
