"""Neural decoders of spatial priors, certified and ready for MCMC.

Importing this package is cheap: its attributes load JAX and the rest when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from priorvae.errors import PriorVAEError

if TYPE_CHECKING:
    import priorvae.numpyro as numpyro
    import priorvae.pymc as pymc
    from priorvae.bundles import load_bundle as load

__all__ = ["PriorVAEError", "__version__", "load", "numpyro", "pymc"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load an attribute at its first use (PEP 562)."""
    match name:
        case "load":
            value = import_module("priorvae.bundles").load_bundle
        case "numpyro" | "pymc":
            value = import_module(f"priorvae.{name}")
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
