"""`evaluation.json`: everything that was measured, and the verdict."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import pydantic

from priorvae.errors import BundleError
from priorvae.evaluation.calibration import Calibration
from priorvae.evaluation.certificate import Certificate
from priorvae.evaluation.posterior import PosteriorFidelity
from priorvae.evaluation.prior import PriorFidelity

__all__ = ["FORMAT_VERSION", "Evaluation", "from_json", "to_json"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Evaluation:
    """What was measured of one bundle, and the verdict.

    Attributes:
        prior: Prior fidelity.
        posterior: Posterior fidelity, where it was measured.
        certificate: The verdict.
        seconds: Seconds each part took.
        calibration: Simulation-based calibration, where it was asked for.
        format_version: Version of the file's format.
    """

    prior: PriorFidelity
    posterior: PosteriorFidelity | None
    certificate: Certificate
    seconds: dict[str, float]
    calibration: Calibration | None = None
    format_version: int = FORMAT_VERSION


def to_json(evaluation: Evaluation) -> str:
    """Return an evaluation as JSON text."""
    plain = _plain(dataclasses.asdict(evaluation))
    return json.dumps(plain, indent=2, allow_nan=False) + "\n"


def from_json(text: str, where: str = "evaluation.json") -> Evaluation:
    """Read an evaluation back; `where` names it in messages.

    Raises:
        BundleError: It is not an evaluation, or one of another format version.
    """
    try:
        evaluation = _adapter().validate_json(text)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise BundleError(
            f"{where}: {key or 'document'}: {problem['msg']}; write it anew with "
            "`priorvae evaluate`"
        ) from None
    if evaluation.format_version != FORMAT_VERSION:
        raise BundleError(
            f"{where}: format version {evaluation.format_version}, and this priorvae reads "
            f"version {FORMAT_VERSION}; write it anew with `priorvae evaluate`"
        )
    return evaluation


@cache
def _adapter() -> pydantic.TypeAdapter[Evaluation]:
    return pydantic.TypeAdapter(Evaluation)


def _plain(value: Any) -> Any:
    """Replace numbers JSON does not have by the strings `inf`, `-inf` and `nan`."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
