"""Families of the response: link, likelihood, and what a response must look like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from priorvae.errors import DataError, nearest, preview

__all__ = ["FAMILIES", "Family", "get_family"]

Trials: TypeAlias = np.ndarray | None


@dataclass(frozen=True)
class Family:
    """How a response depends on the linear predictor `eta`.

    Attributes:
        name: Name on the command line.
        link: Name of the link function.
        takes_trials: Whether the formula's left-hand side is `cases | trials(n)`.
        likelihood: `(eta, trials) -> distribution` of the response.
        mean: `eta -> mean`, the inverse link.
        to_link: `(y, trials) -> (area,)`, a finite empirical value of `eta` for each response.
        has_rate: Whether `exp(eta - offset)` is a rate per unit of an exposure.
        mean_name: What the mean is, for a title.
        check: `(y, trials, names, ids)` raises DataError for an impossible response.
    """

    name: str
    link: str
    takes_trials: bool
    likelihood: Callable[[jax.Array, jax.Array | None], dist.Distribution]
    mean: Callable[[jax.Array], jax.Array]
    to_link: Callable[[np.ndarray, Trials], np.ndarray]
    has_rate: bool
    mean_name: str
    check: Callable[[np.ndarray, Trials, tuple[str, str], Sequence[str]], None]


def get_family(name: str) -> Family:
    """Return the family of that name.

    Raises:
        DataError: There is none.
    """
    if name not in FAMILIES:
        raise DataError(
            f"family: unknown {name!r}{nearest(name, FAMILIES)}; known: {', '.join(FAMILIES)}"
        )
    return FAMILIES[name]


def _check_counts(values: np.ndarray, name: str, ids: Sequence[str]) -> None:
    _refuse(values < 0, f"{name}: counts cannot be negative", values, ids, "correct the data")
    _refuse(
        values != np.round(values),
        f"{name}: counts must be whole numbers",
        values,
        ids,
        f"give counts, with what they are relative to as offset(log(...)) or trials(...), or "
        f"round({name}) if they are estimates",
    )


def _check_poisson(
    y: np.ndarray, trials: Trials, names: tuple[str, str], ids: Sequence[str]
) -> None:
    _check_counts(y, names[0], ids)
    if not y.any():
        raise DataError(f"{names[0]}: all {len(y)} counts are zero; there is nothing to fit")


def _check_binomial(
    y: np.ndarray, trials: Trials, names: tuple[str, str], ids: Sequence[str]
) -> None:
    assert trials is not None
    _check_counts(y, names[0], ids)
    _check_counts(trials, names[1], ids)
    wrong = y > trials
    pairs = [f"{i}: {c:g} of {n:g}" for i, c, n in zip(ids, y, trials, strict=True) if c > n]
    if wrong.any():
        raise DataError(
            f"{names[0]} exceeds {names[1]} in {wrong.sum()} area(s): {preview(pairs)}; "
            "cases cannot exceed trials: are the two columns swapped?"
        )


def _refuse(
    wrong: np.ndarray, what: str, values: np.ndarray, ids: Sequence[str], remedy: str
) -> None:
    if wrong.any():
        listed = preview(f"{i} = {v:g}" for i, v, w in zip(ids, values, wrong, strict=True) if w)
        raise DataError(f"{what}; in {wrong.sum()} area(s): {listed}; {remedy}")


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="poisson",
            link="log",
            takes_trials=False,
            likelihood=lambda eta, trials: dist.Poisson(jnp.exp(eta)),
            mean=jnp.exp,
            # brms, too, takes log(0.1) for a count of zero when it places the intercept's prior.
            to_link=lambda y, trials: np.log(np.maximum(y, 0.1)),
            has_rate=True,
            mean_name="expected count",
            check=_check_poisson,
        ),
        Family(
            name="binomial",
            link="logit",
            takes_trials=True,
            likelihood=lambda eta, trials: dist.BinomialLogits(eta, total_count=trials),
            mean=jax.nn.sigmoid,
            to_link=lambda y, trials: np.log((y + 0.5) / (trials - y + 0.5)),
            has_rate=False,
            mean_name="probability",
            check=_check_binomial,
        ),
    )
}
