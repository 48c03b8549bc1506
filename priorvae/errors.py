"""The errors priorvae raises: one root, and an exit code for the command line."""

import difflib
from collections.abc import Iterable

__all__ = [
    "AreasError",
    "BundleError",
    "ConditionError",
    "ConfigError",
    "DataError",
    "InputError",
    "MissingExtraError",
    "PriorVAEError",
    "ProcessError",
    "RunError",
    "nearest",
    "preview",
]


class PriorVAEError(Exception):
    """Root of every error this package raises on purpose."""

    exit_code = 1


class InputError(PriorVAEError):
    """What the user gave cannot be used: says what, where, expected, got, and the remedy."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration file is malformed or holds an invalid value."""


class AreasError(InputError):
    """A map, an adjacency file or a graph policy cannot be used."""


class ProcessError(InputError):
    """A prior process cannot be built on this map or with these hyperparameters."""


class BundleError(InputError):
    """A bundle is missing, corrupt, of another version, or not certified."""


class DataError(InputError):
    """A data table cannot be joined to the areas or fitted."""


class ConditionError(InputError):
    """A hyperparameter value or prior lies outside the range a decoder was trained on."""


class MissingExtraError(InputError, ImportError):
    """What was asked for needs a package that is an optional extra."""


class RunError(PriorVAEError):
    """A run failed on its way, for a reason other than its input."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for a misspelt word, or an empty string."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def preview(items: Iterable[object], limit: int = 5) -> str:
    """Return the first items as text, with a count of those left out."""
    listed = [str(item) for item in items]
    rest = len(listed) - limit
    return ", ".join(listed[:limit]) + (f", and {rest} more" if rest > 0 else "")
