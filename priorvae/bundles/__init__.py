"""The artifact: a directory of weights and metadata that every engine reads."""

from priorvae.bundles.bundle import Bundle
from priorvae.bundles.describe import describe
from priorvae.bundles.gate import require_certified, uncertified
from priorvae.bundles.info import BundleInfo
from priorvae.bundles.read import load_bundle
from priorvae.bundles.write import golden_cases, write_bundle

__all__ = [
    "Bundle",
    "BundleInfo",
    "describe",
    "golden_cases",
    "load_bundle",
    "require_certified",
    "uncertified",
    "write_bundle",
]
