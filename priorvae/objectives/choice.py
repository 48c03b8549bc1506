"""`type: auto`: the decoder for a process, by what the process is, its size and its spectrum.

Given its hyperparameters a Gaussian prior is linear in z, so that a network is never chosen for
one. Of what remains, the cheapest per gradient that can be had is taken; where a method without
any learning would serve the map as well or better, the choice says so by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from priorvae.config import (
    AlternativeConfig,
    CertificateConfig,
    ChoiceConfig,
    EngressionConfig,
    ModelConfig,
    ReferenceConfig,
    RegressionConfig,
    TrainingConfig,
    VAEConfig,
)
from priorvae.errors import ProcessError
from priorvae.objectives.alternatives import (
    exact,
    fixed_factor,
    hilbert_space,
    many_fixed_values,
    network,
    reference,
    simulation_based,
    sparse_precision,
    spectral,
    times,
)
from priorvae.objectives.costs import DecoderShape, exact_operations, mixture_operations
from priorvae.objectives.shared_tail import default_width
from priorvae.objectives.truncation import Latents, latents_needed
from priorvae.processes.aggregated import TransformedAggregate
from priorvae.processes.base import Eigenbasis, Gaussian, Process

__all__ = ["Choice", "choose"]

LARGEST_FITTED = 1000
"""Values of a field up to which fitting a gated linear map to roots takes minutes, not hours."""

LARGEST_ANALYTIC = 4000
"""Values of a field up to which a handful of n x n matrices make a decoder of a bearable size."""

LARGEST_DECOMPOSED = 6000
"""The same for a graph, whose one eigendecomposition makes two of them."""

SMALL = 250
"""Values of a field up to which training takes seconds, and need not be short."""

ROOT_RANK = 8
"""Matrices that hold a symmetric root over a lengthscale's range: 5 to 8, whatever the kernel."""

_SWEEPS = 300
_FEWEST_SWEEPS = 75


@dataclass(frozen=True)
class Choice:
    """A decoder and how to train it, with the reasons.

    Attributes:
        model: What `model` becomes.
        training: What `training` becomes, where the user leaves it out.
        headline: The choice in a few words.
        reasons: Why, a sentence or two each.
        alternatives: What else would do, or would not, for this map.
        shape: Sizes of a gated linear decoder, where that is what was chosen.
    """

    model: ModelConfig
    training: TrainingConfig
    headline: str
    reasons: tuple[str, ...]
    alternatives: tuple[AlternativeConfig, ...]
    shape: DecoderShape | None = None

    def because(self, reason: str) -> Choice:
        """Return the choice with one more reason."""
        return replace(self, reasons=(*self.reasons, reason))

    def record(self, given: dict[str, object] | None = None) -> ChoiceConfig:
        """Return what a run keeps of it; `given` are the keys of `training` that the user gave."""
        return ChoiceConfig(
            headline=self.headline,
            given=given or {},
            reasons=self.reasons,
            alternatives=self.alternatives,
        )


def choose(process: Process, thresholds: CertificateConfig | None = None) -> Choice:
    """Choose a decoder for a process. Nothing is trained, timed or drawn.

    | process | choice |
    |---|---|
    | known by its draws alone | `Engression`, after a function where that keeps its range |
    | one basis serves every theta (the CAR family, and mixtures of it) | `reference` |
    | Gaussian, no free hyperparameter | `PriorVAE`, linear |
    | Gaussian, the spectrum decays: half of the latents or fewer will do | `PriorCVAE`, linear |
    | Gaussian, up to 1,000 values | `GatedLinear` |
    | Gaussian, up to 4,000 | `reference` |

    Args:
        process: The process, on its map.
        thresholds: What the decoder must reach; the defaults where None.

    Raises:
        ProcessError: No decoder can be made for so many values; says what to do instead.
    """
    thresholds = thresholds or CertificateConfig()
    if not isinstance(process, Gaussian):
        return _from_draws(process)
    _check_size(process)
    basis = process.eigenbasis
    if basis is not None:
        return _decomposed(process, basis)
    latents = latents_needed(process, thresholds)
    if not process.conditions:
        return _constant(process, latents)
    if latents.number <= process.size / 2:
        return _few_latents(process, latents)
    if process.size <= LARGEST_FITTED:
        return _full_rank(process, latents)
    return _analytic(process)


def _check_size(process: Gaussian) -> None:
    """Refuse what no decoder here can hold, before anything of that size is made."""
    on_graph = spectral(process)
    most = LARGEST_DECOMPOSED if on_graph else LARGEST_ANALYTIC
    if process.size <= most:
        return
    instead = (
        "its precision is sparse, and a sparse CAR in NumPyro, Stan or R-INLA costs a few "
        "operations an edge and is exact"
        if on_graph
        else "use an HSGP where lengthscales are long, a Markov approximation (SPDE, as in "
        "R-INLA), or a process on the graph (car, leroux, bym2)"
    )
    raise ProcessError(
        f"model.type auto: {process.kind} here has {process.size:,} values, and every decoder that "
        f"could be chosen holds dense matrices of that size, {8e-9 * process.size**2:.1f} GB each; "
        f"up to {most:,} are served. Instead: {instead}; or take a coarser level of areas"
    )


def _decomposed(process: Gaussian, basis: Eigenbasis) -> Choice:
    rank, latents = basis.right.shape
    shape = DecoderShape(latents, rank, process.size)
    return Choice(
        ReferenceConfig(type="reference"),
        TrainingConfig(),
        f"reference (the eigenbasis), {latents} latents, no training",
        (
            f"One eigendecomposition of the graph serves every hyperparameter of {_kind(process)}: "
            "f = L (g(theta) * z) is the prior itself, to rounding, and needs no training.",
            f"Its value takes about {_millions(shape.operations)} multiplications. A neural "
            "decoder of this prior on one graph could only approximate it, at the same cost or a "
            "higher one.",
        ),
        (sparse_precision(process), network(process)),
        None,
    )


def _constant(process: Gaussian, latents: Latents) -> Choice:
    few = latents.number <= process.size / 2
    number = latents.number if few else process.size
    return Choice(
        VAEConfig(type="PriorVAE", latent_dim=number),
        TrainingConfig(
            steps=200, conditions_per_step=1, learning_rate=1e-5, warmup_steps=20,
            checkpoint_every=100,
        ),
        f"PriorVAE, {number} latents",
        (
            "No hyperparameter is free, so there is nothing to condition on: a PriorVAE, f = W z, "
            "which starts at the root of the one covariance there is.",
            _why_latents(process, latents, few),
        ),
        (fixed_factor(process), *_hsgp(process, number * process.size)),
        None,
    )  # fmt: skip


def _few_latents(process: Gaussian, latents: Latents) -> Choice:
    # A root of this rank interpolated over theta is a sum of so many gated terms at the most.
    hidden = min(2 * process.size, ROOT_RANK * latents.number)
    shape = DecoderShape(latents.number, hidden, process.size)
    model = VAEConfig(type="PriorCVAE", latent_dim=latents.number, hidden=hidden)
    model = model.model_copy(update={"warm_start_sweeps": _sweeps(process)})
    return Choice(
        model,
        _schedule(process, 1500, 3e-5),
        f"PriorCVAE, linear in its {latents.number} latents",
        (
            "Given its hyperparameters this prior is Gaussian, so the right decoder is linear in z "
            "(f = A (g(theta) * z) + C (h(theta) * (B z))): a deeper network could only be worse.",
            _why_latents(process, latents, few=True),
            "An encoder with a full covariance finds the subspace they span: a regression on a "
            "root would have to keep every latent.",
            _why_cost(process, shape),
        ),
        (*exact(process), *_hsgp(process, shape.operations), reference(process)),
        shape,
    )


def _full_rank(process: Gaussian, latents: Latents) -> Choice:
    middle = {c.name: float(c.from_unit(0.0)) for c in process.conditions}
    hidden = default_width(process.size)
    shape = DecoderShape(process.root(middle).shape[1], hidden, process.size)
    return Choice(
        RegressionConfig(type="GatedLinear", warm_start_sweeps=_sweeps(process)),
        # Adam moves every weight by its rate, however small the gradient: a start that is near
        # the optimum bears small ones only.
        _schedule(process, 200, 1e-6),
        f"GatedLinear, {shape.latents} latents",
        (
            "Given its hyperparameters this prior is Gaussian, so the right decoder is linear in z "
            "(f = A (g(theta) * z) + C (h(theta) * (B z))): a deeper network could only be worse.",
            _why_latents(process, latents, few=False),
            "It is regressed on the symmetric root itself, without sampling noise; an encoder "
            "would add cost and take nothing away.",
            _why_cost(process, shape),
        ),
        (
            *exact(process),
            *many_fixed_values(process),
            *_hsgp(process, shape.operations),
            reference(process),
        ),
        shape,
    )


def _analytic(process: Gaussian) -> Choice:
    operations = mixture_operations(ROOT_RANK, process.size, process.size)
    ratio = exact_operations(process.size) / operations
    return Choice(
        ReferenceConfig(type="reference"),
        TrainingConfig(),
        "reference (the interpolated symmetric root), no training",
        (
            f"At {process.size:,} values, fitting a learnt decoder to the covariance's roots would "
            "take hours; the analytic one, f = sum_r c_r(theta) M_r z, takes minutes to set up.",
            f"Its value takes about {_millions(operations)} multiplications with {ROOT_RANK} "
            "matrices; a gradient through the exact covariance and its Cholesky factor costs what "
            f"that of {_millions(exact_operations(process.size))} would: {times(ratio)} as much.",
        ),
        tuple(_hsgp(process, operations)),
        None,
    )


def _from_draws(process: Process) -> Choice:
    output = _output(process)
    bent = output != "identity"
    follows = (
        f"A Gaussian field put through {output}, whose moments are those of the process, is close "
        "to it: training starts there."
        if bent
        else "Training starts at a Gaussian field with the mean and covariance of its draws; a "
        "network beside the linear map follows what is not Gaussian. Where every value is "
        "positive, `type: Engression` with `output: exp` follows it better."
    )
    return Choice(
        EngressionConfig(
            type="Engression",
            structure="gated-linear" if bent else "film-mlp",
            output=output,
            warm_start_draws=16_384,
        ),
        TrainingConfig(
            steps=200 if bent else 500, draws="random", batch_size=512, conditions_per_step=8,
            learning_rate=1e-5 if bent else 2e-5, warmup_steps=20, checkpoint_every=100,
        ),
        f"Engression, {process.size} latents",
        (
            f"{_kind(process).capitalize()} is known by its draws alone and need not be Gaussian: "
            "the decoder learns from random draws, by the energy score, which only the process's "
            "own distribution minimises. A variational autoencoder of such draws shrinks.",
            follows,
            "Both sides of its certificate are estimated from draws; what Monte Carlo alone gives "
            "stands beside every figure.",
        ),
        (simulation_based(process),),
        None,
    )  # fmt: skip


def _output(process: Process) -> Literal["identity", "exp", "sigmoid"]:
    """Return the function that keeps a decoder where the process is, as far as that is known."""
    if not isinstance(process, TransformedAggregate):
        return "identity"
    averages = bool((process.weights.sum(axis=1) < 1 + 1e-9).all())
    return "sigmoid" if process.nonlinearity == "expit" and averages else "exp"


def _sweeps(process: Gaussian) -> int:
    """Return sweeps whose cost grows more slowly than n^3: the first of them do most."""
    return max(_FEWEST_SWEEPS, min(_SWEEPS, round(_SWEEPS * (SMALL / process.size) ** 3)))


def _schedule(process: Gaussian, steps: int, rate: float) -> TrainingConfig:
    """Return a schedule that refines a warm start; a step on a larger map costs n^3 times more."""
    if process.size <= SMALL:
        return TrainingConfig(steps=steps, learning_rate=rate, warmup_steps=steps // 10)
    return TrainingConfig(
        steps=100, conditions_per_step=4, learning_rate=rate / 3, warmup_steps=10,
        checkpoint_every=100,
    )  # fmt: skip


def _hsgp(process: Gaussian, operations: int) -> tuple[AlternativeConfig, ...]:
    found = hilbert_space(process, operations)
    return () if found is None else (found,)


def _kind(process: Process) -> str:
    return f"this {process.kind} prior"


def _why_latents(process: Gaussian, latents: Latents, few: bool) -> str:
    where = ", ".join(
        f"{c.name} = {c.text(latents.hyper[c.name])}" for c in process.conditions if latents.hyper
    )
    at = f"; the most are needed at {where}" if where else ""
    if few:
        return (
            f"Its spectrum decays: {latents.number} latents for {process.size} values keep every "
            f"figure of the certificate within half of its threshold{at}."
        )
    return (
        f"Its spectrum does not decay fast enough to leave many latents out: the certificate's "
        f"thresholds ask for {latents.number} latents for {process.size} values{at}."
    )


def _why_cost(process: Gaussian, shape: DecoderShape) -> str:
    theirs, ours = exact_operations(process.size), shape.operations
    ratio = theirs / ours
    return (
        f"Its value takes about {_millions(ours)} multiplications; a gradient through the exact "
        f"covariance and its Cholesky factor costs what that of {_millions(theirs)} would: "
        + (f"{times(ratio)} as much." if ratio >= 2 else "about as much, on so small a map.")
    )


def _millions(count: float) -> str:
    """Return a large count as people read it."""
    for unit, name in ((1e9, "thousand million"), (1e6, "million"), (1e3, "thousand")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f}"
