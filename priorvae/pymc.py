"""What a PyMC modeller imports: the spatial effect. PyMC is the optional extra `priorvae[pymc]`."""

from priorvae.errors import MissingExtraError

try:
    import pymc  # noqa: F401  asked for by name, so that what it lacks itself is reported as it is
except ModuleNotFoundError as error:
    if error.name != "pymc":
        raise
    raise MissingExtraError(
        "priorvae.pymc needs PyMC, which is not installed: pip install 'priorvae[pymc]'"
    ) from None

from priorvae.inference.effect_pymc import spatial_effect

__all__ = ["spatial_effect"]
