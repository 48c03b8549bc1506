"""The gate: what is published or exported has a certificate, or its user's word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from priorvae.bundles.bundle import Bundle
from priorvae.bundles.info import BundleInfo
from priorvae.errors import BundleError

__all__ = ["require_certified", "uncertified"]


def require_certified(bundle: Bundle, allow_uncertified: bool = False) -> None:
    """Refuse a bundle whose certificate did not pass, or that has none.

    Whatever hands a bundle on to others calls this first.

    Args:
        bundle: The bundle.
        allow_uncertified: Consent of the user, who knows what it falls short in.

    Raises:
        BundleError: Lists the figures that failed, each with what was required, at which
            hyperparameters and in which areas; and what to do.
    """
    if allow_uncertified:
        return
    why = uncertified(bundle.info)
    if why:
        raise BundleError(
            f"{bundle.path or bundle.info.id}: {why}\nTrain it longer or with more latents, or "
            "pass --allow-uncertified (allow_uncertified=True) if that is close enough for you"
        )


def uncertified(info: BundleInfo) -> str:
    """Return why a bundle is not certified, a failed figure a line; empty where it is."""
    certificate = info.certificate
    if certificate.status == "passed":
        return ""
    if certificate.status == "not evaluated":
        return "not certified: nobody has compared it with its prior; see `priorvae evaluate`"
    failed = [figure for figure in certificate.figures if not figure.get("passed")]
    lines = [f"not certified: {len(failed)} of {len(certificate.figures)} figures failed"]
    return "\n".join([*lines, *(f"  {_sentence(figure)}" for figure in failed)])


def _sentence(figure: Mapping[str, Any]) -> str:
    place = _place(figure)
    where = f", worst at {place}" if place else ""
    value = float("nan" if figure["value"] is None else figure["value"])  # JSON has no NaN
    return f"{figure['label']} is {value:.4g} (required: {_bounds(figure)}){where}"


def _bounds(figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _place(figure: Mapping[str, Any]) -> str:
    values = figure.get("hyper", {}).items()
    parts = [f"{name} = {v if isinstance(v, str) else format(v, '.4g')}" for name, v in values]
    areas = figure.get("areas", ())
    if areas:
        parts.append(f"{'area' if len(areas) == 1 else 'neighbours'} {' and '.join(areas)}")
    return ", ".join(parts)
