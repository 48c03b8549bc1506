"""One validated configuration a run: read from YAML, frozen, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)

from priorvae.errors import ConfigError, nearest

__all__ = [
    "AreasConfig",
    "CARConfig",
    "CertificateConfig",
    "GPConfig",
    "HyperConfig",
    "ModelConfig",
    "PosteriorConfig",
    "ProcessConfig",
    "RunConfig",
    "TrainingConfig",
    "dump_config",
    "load_config",
    "parse_config",
]


def _size(value: Any) -> Any:
    """Refuse what is neither a positive whole number nor `auto`, in one message."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError("must be a positive whole number or `auto`")


def _widths(value: Any) -> Any:
    """Accept one width or a list of them."""
    return (
        tuple(_size(width) for width in value) if isinstance(value, list | tuple) else _size(value)
    )


Size = Annotated[int | Literal["auto"], BeforeValidator(_size)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AreasConfig(_Section):
    """Which map, and how its graph is built (see `priorvae.areas.read_areas`)."""

    source: str
    id: str | None = None
    name: str | None = None
    contiguity: Literal["queen", "rook"] = "queen"
    islands: Literal["bridge", "keep", "error"] = "bridge"
    snap: NonNegativeFloat | None = None
    crs: str | None = None
    layer: str | None = None


class HyperConfig(_Section):
    """A hyperparameter: a hyperprior with finite support, or a constant."""

    distribution: Literal["uniform", "loguniform", "normal", "lognormal", "constant"]
    low: float | None = None
    high: float | None = None
    loc: float = 0.0
    scale: PositiveFloat = 1.0
    value: float | None = None
    unit: Literal["km", "extent", ""] = ""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if self.distribution == "constant":
            if self.value is None:
                raise ValueError("a constant needs `value`")
        elif self.low is None or self.high is None:
            raise ValueError(
                f"{self.distribution} needs `low` and `high`: a decoder's range is finite"
            )
        elif not self.low < self.high:
            raise ValueError(f"`low` must be below `high` (got {self.low:g} and {self.high:g})")
        return self

    @property
    def lowest(self) -> float:
        """Smallest value in the support."""
        bound = self.value if self.distribution == "constant" else self.low
        assert bound is not None
        return bound


class GPConfig(_Section):
    """A Gaussian process on the centroids."""

    kind: Literal["gp"]
    kernel: Literal["rbf", "matern12", "matern32", "matern52"]
    lengthscale: HyperConfig
    nugget: Annotated[float, Field(gt=0, lt=1e-5)] = 1e-6

    @pydantic.field_validator("lengthscale")
    @classmethod
    def _positive(cls, value: HyperConfig) -> HyperConfig:
        if value.lowest <= 0:
            raise ValueError(f"a lengthscale must be positive (got {value.lowest:g})")
        if not value.unit:
            raise ValueError("`unit` must say `km` or `extent` (a fraction of the longest side)")
        return value


class CARConfig(_Section):
    """The proper conditional autoregression, precision D - alpha W."""

    kind: Literal["car"]
    alpha: HyperConfig

    @pydantic.field_validator("alpha")
    @classmethod
    def _below_one(cls, value: HyperConfig) -> HyperConfig:
        high = value.value if value.distribution == "constant" else value.high
        if high is not None and high >= 1:
            raise ValueError(f"alpha must stay below 1 (got {high:g})")
        if value.unit:
            raise ValueError("alpha has no unit")
        return value


ProcessConfig = Annotated[GPConfig | CARConfig, Field(discriminator="kind")]


class ModelConfig(_Section):
    """Which decoder is learnt, and with which encoder."""

    type: Literal["PriorVAE", "PriorCVAE", "reference"]
    structure: Literal["gated-linear", "mlp"] = "gated-linear"
    latent_dim: Size = "auto"
    hidden: Annotated[int | tuple[int, ...] | Literal["auto"], BeforeValidator(_widths)] = "auto"
    activation: Literal["relu", "elu", "tanh", "sigmoid", "softplus"] = "elu"
    encoder: Literal["full", "diagonal"] = "full"
    likelihood_variance: PositiveFloat = 0.001
    noisy_draws: bool = True
    warm_start: Literal["symmetric-root", "none"] = "symmetric-root"
    warm_start_sweeps: PositiveInt = 1000

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.structure == "mlp" and self.warm_start != "none":
            raise ValueError("an mlp has no warm start: set `warm_start: none`")
        if self.structure == "mlp" and self.encoder == "full":
            raise ValueError(
                "the full-covariance encoder is gated linear: an mlp needs `encoder: diagonal`"
            )
        if self.structure == "gated-linear" and isinstance(self.hidden, tuple):
            raise ValueError("a gated-linear decoder has one hidden width, not a list")
        return self


class TrainingConfig(_Section):
    """Optimiser, schedule and draws.

    Attributes:
        batch_size: Draws a step; with `draws: columns` it follows from `conditions_per_step`.
        conditions_per_step: Distinct hyperparameter values a step, stratified over their range.
        draws: `random` normals, or `columns`: the n columns of the root times sqrt(n), whose
            second moment is the covariance itself, so that a linear model sees no sampling noise.
        over: Spread the hyperparameters over their `range` (evenly on the transformed scale) or
            over the `hyperprior`.
    """

    steps: PositiveInt = 2000
    batch_size: Size = "auto"
    conditions_per_step: PositiveInt = 16
    draws: Literal["random", "columns"] = "columns"
    over: Literal["range", "hyperprior"] = "range"
    learning_rate: PositiveFloat = 3e-5
    final_learning_rate: NonNegativeFloat = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    clip_norm: PositiveFloat = 10.0
    checkpoint_every: PositiveInt = 500
    log_every: PositiveInt = 50
    keep_checkpoints: PositiveInt = 2

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Self:
        if self.checkpoint_every % self.log_every:
            raise ValueError(
                f"`checkpoint_every` must be a multiple of `log_every` "
                f"(got {self.checkpoint_every} and {self.log_every})"
            )
        if self.draws == "columns" and self.batch_size != "auto":
            raise ValueError("`draws: columns` fixes the batch size: leave `batch_size: auto`")
        if self.draws == "random" and isinstance(self.batch_size, int):
            if self.batch_size % self.conditions_per_step:
                raise ValueError(
                    f"`batch_size` must be a multiple of `conditions_per_step` "
                    f"(got {self.batch_size} and {self.conditions_per_step})"
                )
        elif self.draws == "random":
            raise ValueError("`draws: random` needs a `batch_size`")
        if self.warmup_steps >= self.steps:
            raise ValueError(f"`warmup_steps` must be below `steps` ({self.steps})")
        return self


class PosteriorConfig(_Section):
    """Real data on which the decoder's posterior is held against the exact one, with bounds.

    Attributes:
        data: Table of the data: a path or `builtin:NAME`.
        id: Column of area ids (built-ins know theirs).
        formula: As in `priorvae infer`.
        family: As in `priorvae infer`.
        correlation: Least correlation of the areas' posterior means with the exact ones.
        rmse: Largest root mean squared difference of those means, in exact posterior sds.
        sd_ratio: Largest deviation of the mean ratio of posterior sds from 1.
        coverage_low: Least share of exact draws inside the decoder's 95 % intervals.
        coverage_high: Largest such share.
        hyper_pvalue: Least p-value of "the hyperparameters' posteriors are the same".
    """

    data: str
    id: str | None = None
    formula: str
    family: Literal["poisson", "binomial"]
    chains: PositiveInt = 4
    warmup: PositiveInt = 1000
    samples: PositiveInt = 1000
    correlation: Annotated[float, Field(gt=0, le=1)] = 0.999
    rmse: PositiveFloat = 0.10
    sd_ratio: PositiveFloat = 0.03
    coverage_low: Annotated[float, Field(gt=0, lt=1)] = 0.94
    coverage_high: Annotated[float, Field(gt=0, lt=1)] = 0.96
    hyper_pvalue: Annotated[float, Field(gt=0, lt=1)] = 0.01


class CertificateConfig(_Section):
    """What a bundle must reach to be certified.

    Attributes:
        num_conditions: Hyperparameter values, spread over the trained range, that are judged.
        covariance_error: Largest relative Frobenius error of the covariance.
        worst_sd: Largest relative deviation of an area's marginal sd.
        mean_sd: Largest deviation of the mean ratio of marginal sds from 1. Areas' errors average
            out, so what is left here is a systematic shrinkage or inflation of the prior.
        neighbour_correlation: Largest deviation of the neighbour-correlation ratio from 1.
        bures_wasserstein: Largest squared Bures-Wasserstein distance over the trace.
        mmd_pvalue: Least family-wise p-value of "decoder and process draw from one distribution".
        importance_fraction: Least effective fraction of importance weights, or null for no bound.
        num_draws: Draws for the figures that need them.
        posterior: Data for the posterior's part of the certificate, or null to leave it out.
    """

    num_conditions: Annotated[int, Field(ge=7)] = 7
    covariance_error: PositiveFloat = 0.05
    worst_sd: PositiveFloat = 0.05
    mean_sd: PositiveFloat = 0.025
    neighbour_correlation: PositiveFloat = 0.05
    bures_wasserstein: PositiveFloat = 0.01
    mmd_pvalue: Annotated[float, Field(gt=0, lt=1)] = 0.01
    importance_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    num_draws: Annotated[int, Field(ge=100)] = 1000
    posterior: PosteriorConfig | None = None


class RunConfig(_Section):
    """A whole run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    level: str | None = None
    iso3: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    areas: AreasConfig
    process: ProcessConfig
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    certificate: CertificateConfig = CertificateConfig()


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
    # A discriminated union inserts its tag into the location; the file has no such level.
    location = [str(p) for p in problem["loc"]]
    if location[:1] == ["process"] and len(location) > 1:
        location.pop(1)
    key = ".".join(location) or "configuration"
    kind, given = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key{nearest(location[-1], _known_keys(location[:-1]))}"
    if kind == "missing":
        return f"{key}: required, but not given"
    if kind in ("literal_error", "union_tag_invalid"):
        context = problem["ctx"]
        known = (context.get("expected") or context["expected_tags"]).replace("'", "")
        options = known.replace(" or ", ", ").split(", ")
        word = given if kind == "literal_error" else given.get("kind")
        return f"{key}: expected one of {known}{nearest(str(word), options)} (got {word!r})"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    shown = "" if "(got" in message or isinstance(given, dict) else f" (got {given!r})"
    return f"{key}: {message}{shown}"


def _known_keys(location: Sequence[str]) -> list[str]:
    """Return the keys a section may hold, for suggestions."""
    model: Any = RunConfig
    for part in location:
        sections = {
            "areas": (AreasConfig,),
            "process": (GPConfig, CARConfig),
            "model": (ModelConfig,),
            "training": (TrainingConfig,),
            "certificate": (CertificateConfig,),
            "posterior": (PosteriorConfig,),
            "lengthscale": (HyperConfig,),
            "alpha": (HyperConfig,),
        }.get(part, ())
        model = sections
    models = model if isinstance(model, tuple) else (model,)
    return sorted({field for m in models for field in m.model_fields})
