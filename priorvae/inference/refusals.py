"""What a spatial effect refuses, in the same words whatever the engine."""

from __future__ import annotations

from collections.abc import Iterable

from priorvae.errors import ConditionError, nearest
from priorvae.processes.conditions import Condition

__all__ = ["NEGLIGIBLE_MASS", "fixed_category", "require_known", "require_mass_inside"]

NEGLIGIBLE_MASS = 1e-5
"""A cdf evaluated in float32 is off by a few 1e-7; anything a user would notice is far above."""


def require_known(name: str, conditions: tuple[Condition, ...], given: Iterable[str]) -> None:
    """Refuse a name that no condition of the prior has.

    Raises:
        ConditionError: Names it, the nearest one, and all.
    """
    known = [condition.name for condition in conditions]
    for unknown in (key for key in given if key not in known):
        raise ConditionError(
            f"{name}: the prior has no condition {unknown!r}{nearest(unknown, known)}; "
            f"it has {', '.join(known) or 'none'}"
        )


def fixed_category(site: str, value: float | str | None, condition: Condition) -> float:
    """Return the number of the category that a condition is fixed to.

    Args:
        site: What the engine calls the condition, for the message.
        value: A label or number; None where it is left open, or has a hyperprior.
        condition: A categorical condition.

    Raises:
        ConditionError: It is left open, or is none of the categories.
    """
    if value is None:
        raise ConditionError(
            f"{site}: NUTS samples continuous parameters, and this is a category; fix it to "
            f"{condition.span}, by --condition {condition.name}={condition.labels[0]} or "
            f"conditions={{'{condition.name}': '{condition.labels[0]}'}}, and compare the fits"
        )
    condition.check(value)
    return float(condition.number(value))


def require_mass_inside(
    site: str, condition: Condition, family: str, outside: float | None, uniform: str
) -> None:
    """Refuse a hyperprior that puts mass outside the trained range.

    Args:
        site: What the engine calls the condition, for the message.
        condition: The condition.
        family: The hyperprior's family, for the message.
        outside: Its probability outside; None where all that is known is that there is some.
        uniform: How the engine spells a uniform distribution, as an example.

    Raises:
        ConditionError: More than a negligible probability is outside.
    """
    if outside is not None and outside <= NEGLIGIBLE_MASS:
        return
    amount = "mass" if outside is None else f"{100 * outside:.3g}% of its mass"
    low, high = f"{condition.low:.6g}", f"{condition.high:.6g}"
    raise ConditionError(
        f"{site}: the hyperprior {family} puts {amount} outside the trained "
        f"range [{low}, {high}]{f' {condition.unit}' if condition.unit else ''}, where the "
        f"decoder is not valid; give one inside it, such as {uniform}({low}, {high}) or a "
        "truncated one, or train a bundle over a wider range"
    )
