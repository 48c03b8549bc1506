"""What else would serve a map: each rival by its name, what it takes here, and a verdict."""

from __future__ import annotations

from priorvae.config import AlternativeConfig
from priorvae.objectives.costs import hsgp_operations
from priorvae.objectives.hsgp import hilbert_basis
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.spectral import Spectral
from priorvae.processes.stacked import Stacked

__all__ = [
    "exact",
    "fixed_factor",
    "hilbert_space",
    "many_fixed_values",
    "network",
    "reference",
    "simulation_based",
    "sparse_precision",
    "spectral",
    "times",
]

QUICK_EXACTLY = 60
"""Values up to which exact inference takes seconds to minutes: less than making a decoder."""

SPARSE_FROM = 2000
"""Areas from which two dense n x n products cost clearly more than a sparse factorisation."""


def spectral(process: Process) -> bool:
    """Whether a process is of the CAR family, or mixed from such processes alone."""
    if isinstance(process, Stacked):
        return all(spectral(part) for part in process.processes)
    return isinstance(process, Spectral)


def times(ratio: float) -> str:
    """Return a ratio as people read it, such as `14 times`."""
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def exact(process: Gaussian) -> tuple[AlternativeConfig, ...]:
    """Return exact inference, on a map where it is quick."""
    if process.size > QUICK_EXACTLY:
        return ()
    return (
        AlternativeConfig(
            name="exact Gaussian process",
            advice=(
                f"with {process.size} values a covariance is factorised in well under a "
                "millisecond. A dense Gaussian process in NumPyro, Stan, brms or PyMC, or "
                "`priorvae infer --exact`, fits such a map in seconds to minutes, without a "
                "decoder; train one if you will fit the same map many times."
            ),
            better=True,
        ),
    )


def fixed_factor(process: Gaussian) -> AlternativeConfig:
    """Return the one factorisation that a covariance without free hyperparameters takes."""
    return AlternativeConfig(
        name="exact, one Cholesky factor",
        advice=(
            "the covariance never changes, so factorise it once, K = L L', before sampling: "
            f"f = L z is exact, and its {process.size} x {process.size} product costs what the "
            "decoder's does. Better still, let the data inform the lengthscale: give it a range."
        ),
        better=True,
    )


def many_fixed_values(process: Gaussian) -> tuple[AlternativeConfig, ...]:
    """Return the advice for a kernel that is chosen among several."""
    if not any(c.labels for c in process.conditions):
        return ()
    return (
        AlternativeConfig(
            name="one decoder a kernel",
            advice="a decoder for each category is smaller and trains faster; one for all of them "
            "lets you compare them with a single file.",
            better=False,
        ),
    )


def hilbert_space(process: Gaussian, operations: int) -> AlternativeConfig | None:
    """Return the HSGP for a process, judged against a decoder's cost; None where unknown.

    Args:
        process: The process.
        operations: Multiplications of the decoder's value.
    """
    basis = hilbert_basis(process)
    if basis is None:
        return None
    ratio = hsgp_operations(basis.total, process.size) / operations
    better = basis.total <= process.size
    verdict = (
        f"no more than there are values, at {times(ratio)} the decoder's cost a gradient, without "
        "training, and ready in brms, PyMC, NumPyro and Stan"
        if better
        else f"at {times(ratio)} the decoder's cost a gradient; fewer would lose the short "
        "lengthscales or, in a smaller box, the long ones"
    )
    return AlternativeConfig(
        name="HSGP",
        advice=f"these lengthscales ask for {basis.words} by the rules of Riutort-Mayol et al. "
        f"(2023), {verdict}.",
        better=better,
    )


def sparse_precision(process: Gaussian) -> AlternativeConfig:
    """Return the exact rival on a graph: its sparse precision."""
    large = process.size > SPARSE_FROM
    if isinstance(process, Stacked):
        advice = "its parts have sparse precisions, which R-INLA and Stan use without a decoder; "
    else:
        advice = (
            f"the precision of a {process.kind} has a few entries an edge, and NumPyro's CAR, "
            "brms' car(), Stan or R-INLA use it exactly, without a decoder; "
        )
    verdict = (
        f"at {process.size:,} values that costs far less than two dense products."
        if large
        else "the eigenbasis, which whitens the field, usually samples better at this size."
    )
    return AlternativeConfig(name="sparse precision", advice=advice + verdict, better=large)


def network(process: Gaussian) -> AlternativeConfig:
    """Return the neural decoder, which a prior with a basis of its own does not need."""
    return AlternativeConfig(
        name="a trained decoder (PriorVAE, PriorCVAE, DeepRV)",
        advice=f"gains nothing here: this {process.kind} has an exact linear decoder. It can gain "
        "on another graph in the same model, or where the prior is not Gaussian.",
        better=False,
    )


def reference(process: Gaussian) -> AlternativeConfig:
    """Return the analytic decoder, beside which the report shows a learnt one."""
    return AlternativeConfig(
        name="reference",
        advice="`type: reference` interpolates the symmetric root over the hyperparameters, "
        f"without training, to about six digits; 5 to 8 matrices of {process.size} x "
        f"{process.size} make each gradient dearer and the bundle larger. The report shows it "
        "beside the decoder.",
        better=False,
    )


def simulation_based(process: Process) -> AlternativeConfig:
    """Return what is left for a process that has no density."""
    return AlternativeConfig(
        name="exact, eigenbasis and HSGP",
        advice=f"none of them applies: a {process.kind} has no covariance to factorise. Where the "
        "simulator is itself built from a Gaussian field, put that field into the model and the "
        "simulator behind it.",
        better=False,
    )
