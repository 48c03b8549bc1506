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
    "AnisotropyConfig",
    "AreasConfig",
    "BYM2Config",
    "CARConfig",
    "CertificateConfig",
    "GPConfig",
    "HyperConfig",
    "ICARConfig",
    "KernelConfig",
    "LerouxConfig",
    "ModelConfig",
    "PosteriorConfig",
    "ProcessConfig",
    "RunConfig",
    "SARConfig",
    "TermConfig",
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

    distribution: Literal["uniform", "loguniform", "normal", "lognormal", "beta", "constant"]
    low: float | None = None
    high: float | None = None
    loc: float = 0.0
    scale: PositiveFloat = 1.0
    a: PositiveFloat = 1.0
    b: PositiveFloat = 1.0
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
        elif self.distribution in ("loguniform", "lognormal") and self.low <= 0:
            raise ValueError(f"{self.distribution} needs a positive `low` (got {self.low:g})")
        return self

    @property
    def lowest(self) -> float:
        """Smallest value in the support."""
        bound = self.value if self.distribution == "constant" else self.low
        assert bound is not None
        return bound

    @property
    def highest(self) -> float:
        """Largest value in the support."""
        bound = self.value if self.distribution == "constant" else self.high
        assert bound is not None
        return bound


_KERNEL_KEYS = {
    "rbf": ("lengthscale",),
    "matern12": ("lengthscale",),
    "matern32": ("lengthscale",),
    "matern52": ("lengthscale",),
    "rational-quadratic": ("lengthscale", "shape"),
    "periodic": ("lengthscale", "period"),
}
_ONE = HyperConfig(distribution="constant", value=1.0)


class KernelConfig(_Section):
    """A kernel with its hyperparameters."""

    kernel: Literal["rbf", "matern12", "matern32", "matern52", "rational-quadratic", "periodic"]
    lengthscale: HyperConfig | None = Field(default=None, validate_default=True)
    shape: HyperConfig | None = Field(default=None, validate_default=True)
    period: HyperConfig | None = Field(default=None, validate_default=True)

    @pydantic.field_validator("lengthscale", "shape", "period")
    @classmethod
    def _fits(cls, value: HyperConfig | None, info: pydantic.ValidationInfo) -> HyperConfig | None:
        """Require what the kernel has, refuse what it has not, and check signs and units."""
        kernel, name = info.data.get("kernel"), str(info.field_name)
        if kernel is None:  # already refused, with a message of its own
            return value
        needed = name in _KERNEL_KEYS.get(kernel, ())
        if value is None:
            if needed:
                raise ValueError(f"kernel {kernel} needs a {name} (got none)")
            return value
        if not needed:
            has = ", ".join(_KERNEL_KEYS.get(kernel, ("terms",)))
            raise ValueError(f"kernel {kernel} has no {name}, only {has} (got one)")
        _check_positive(name, value)
        if name == "period" or (name == "lengthscale" and kernel != "periodic"):
            _check_length(value)
        else:
            _check_unitless(f"the {name} of kernel {kernel}", value)
        return value


class TermConfig(KernelConfig):
    """One kernel of a sum or product, with its weight in a sum."""

    weight: HyperConfig | None = None

    @pydantic.field_validator("weight")
    @classmethod
    def _positive_weight(cls, value: HyperConfig | None) -> HyperConfig | None:
        if value is not None:
            _check_positive("weight", value)
            _check_unitless("a weight", value)
        return value


class AnisotropyConfig(_Section):
    """Geometric anisotropy: the lengthscale along `angle`, and `1 / ratio` of it across.

    Attributes:
        ratio: At least 1.
        angle: Degrees clockwise from north.
    """

    ratio: HyperConfig
    angle: HyperConfig

    @pydantic.field_validator("ratio")
    @classmethod
    def _at_least_one(cls, value: HyperConfig) -> HyperConfig:
        if value.lowest < 1:
            raise ValueError(
                f"a ratio must be at least 1, the longer over the shorter (got {value.lowest:g})"
            )
        _check_unitless("a ratio", value)
        return value

    @pydantic.field_validator("angle")
    @classmethod
    def _half_turn(cls, value: HyperConfig) -> HyperConfig:
        _check_unitless("an angle, in degrees clockwise from north,", value)
        if value.low is not None and value.high is not None and value.high - value.low > 180:
            raise ValueError(
                "directions repeat after 180 degrees, so a wider range holds the same prior twice "
                f"(got {value.low:g} to {value.high:g})"
            )
        return value


class GPConfig(KernelConfig):
    """A Gaussian process on the centroids."""

    kind: Literal["gp"]
    kernel: Literal[  # type: ignore[assignment]
        "rbf",
        "matern12",
        "matern32",
        "matern52",
        "rational-quadratic",
        "periodic",
        "sum",
        "product",
    ]
    terms: Annotated[tuple[TermConfig, ...], Field(validate_default=True)] = ()
    distance: Literal["euclidean", "great-circle", "chordal"] = "euclidean"
    anisotropy: AnisotropyConfig | None = None
    nugget: Annotated[float, Field(gt=0, lt=1e-5)] = 1e-6

    @pydantic.field_validator("terms")
    @classmethod
    def _terms_fit(
        cls, value: tuple[TermConfig, ...], info: pydantic.ValidationInfo
    ) -> tuple[TermConfig, ...]:
        kernel = info.data.get("kernel")
        if kernel in ("sum", "product"):
            if len(value) < 2:
                raise ValueError(f"a {kernel} needs at least two terms (got {len(value)})")
            if kernel == "product" and any(term.weight for term in value):
                raise ValueError("a product has no weights: they would cancel (got one)")
            weights = [term.weight or _ONE for term in value]
            if kernel == "sum" and all(w.distribution != "constant" for w in weights):
                raise ValueError(
                    "weights are relative: leave one of them constant, such as 1 (got all free)"
                )
        elif value and kernel is not None:
            raise ValueError(f"kernel {kernel} has no terms (got {len(value)})")
        return value

    @property
    def hypers(self) -> dict[str, HyperConfig]:
        """Every hyperparameter by its name in the process; those of terms are numbered."""
        named = _kernel_hypers(self)
        for index, term in enumerate(self.terms, start=1):
            named |= {f"{name}_{index}": hyper for name, hyper in _kernel_hypers(term).items()}
            if self.kernel == "sum":
                named[f"weight_{index}"] = term.weight or _ONE
        if self.anisotropy is not None:
            named |= {"ratio": self.anisotropy.ratio, "angle": self.anisotropy.angle}
        return named

    @property
    def formula(self) -> str:
        """The kernel in one word: `matern32`, `matern32+periodic` or `matern32*periodic`."""
        signs = {"sum": "+", "product": "*"}
        names = [term.kernel for term in self.terms]
        return signs[self.kernel].join(names) if self.terms else self.kernel


def _kernel_hypers(config: KernelConfig) -> dict[str, HyperConfig]:
    hypers = {name: getattr(config, name) for name in ("lengthscale", "shape", "period")}
    return {name: hyper for name, hyper in hypers.items() if hyper is not None}


def _check_positive(name: str, value: HyperConfig) -> None:
    if value.lowest <= 0:
        raise ValueError(f"a {name} must be positive (got {value.lowest:g})")


def _check_length(value: HyperConfig) -> None:
    if not value.unit:
        raise ValueError("`unit` must say `km` or `extent` (a fraction of the longest side)")


def _check_unitless(what: str, value: HyperConfig) -> None:
    if value.unit:
        raise ValueError(f"{what} has no `unit` (got {value.unit!r})")


class CARConfig(_Section):
    """The proper conditional autoregression, precision D - alpha W."""

    kind: Literal["car"]
    alpha: HyperConfig

    @pydantic.field_validator("alpha")
    @classmethod
    def _below_one(cls, value: HyperConfig) -> HyperConfig:
        _check_below_one("alpha", value)
        _check_unitless("alpha", value)
        return value


class SARConfig(_Section):
    """The simultaneous autoregression, f = rho D^-1 W f + e."""

    kind: Literal["sar"]
    rho: HyperConfig

    @pydantic.field_validator("rho")
    @classmethod
    def _below_one(cls, value: HyperConfig) -> HyperConfig:
        _check_below_one("rho", value)
        _check_unitless("rho", value)
        return value


class LerouxConfig(_Section):
    """The Leroux autoregression, precision rho (D - W) + (1 - rho) I."""

    kind: Literal["leroux"]
    rho: HyperConfig

    @pydantic.field_validator("rho")
    @classmethod
    def _share(cls, value: HyperConfig) -> HyperConfig:
        _check_not_negative("rho", value)
        _check_below_one("rho", value)
        _check_unitless("rho", value)
        return value


class ICARConfig(_Section):
    """The intrinsic autoregression, scaled; it has no hyperparameter."""

    kind: Literal["icar"]


class BYM2Config(_Section):
    """The BYM2 model, sqrt(rho) u + sqrt(1 - rho) v with u the scaled ICAR."""

    kind: Literal["bym2"]
    rho: HyperConfig

    @pydantic.field_validator("rho")
    @classmethod
    def _share(cls, value: HyperConfig) -> HyperConfig:
        _check_not_negative("rho", value)
        if value.highest > 1:
            raise ValueError(f"rho is a share of variance, at most 1 (got {value.highest:g})")
        _check_unitless("rho", value)
        return value


def _check_below_one(name: str, value: HyperConfig) -> None:
    if value.highest >= 1:
        raise ValueError(f"{name} must stay below 1 (got {value.highest:g})")


def _check_not_negative(name: str, value: HyperConfig) -> None:
    if value.lowest < 0:
        raise ValueError(f"{name} must not be negative (got {value.lowest:g})")


ProcessConfig = Annotated[
    GPConfig | CARConfig | SARConfig | LerouxConfig | ICARConfig | BYM2Config,
    Field(discriminator="kind"),
]


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
        if part.isdigit():  # a place in a list, whose name came before
            continue
        sections = {
            "areas": (AreasConfig,),
            "process": (GPConfig, CARConfig, SARConfig, LerouxConfig, ICARConfig, BYM2Config),
            "model": (ModelConfig,),
            "training": (TrainingConfig,),
            "certificate": (CertificateConfig,),
            "posterior": (PosteriorConfig,),
            "lengthscale": (HyperConfig,),
            "alpha": (HyperConfig,),
            "rho": (HyperConfig,),
            "shape": (HyperConfig,),
            "period": (HyperConfig,),
            "weight": (HyperConfig,),
            "terms": (TermConfig,),
            "anisotropy": (AnisotropyConfig,),
            "ratio": (HyperConfig,),
            "angle": (HyperConfig,),
        }.get(part, ())
        model = sections
    models = model if isinstance(model, tuple) else (model,)
    return sorted({field for m in models for field in m.model_fields})
