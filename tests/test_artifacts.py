"""The released bundles are certified, and readable by NumPy alone."""

from pathlib import Path

import pytest

from priorvae.bundles import load_bundle
from priorvae.config import CertificateConfig, load_config
from tests.bundles.numpy_reader import golden_error

REPOSITORY = Path(__file__).parents[1]
BUNDLES = sorted(p.parent for p in (REPOSITORY / "artifacts").glob("*/bundle.json"))


def test_there_is_a_released_bundle() -> None:
    assert BUNDLES


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_released_bundle(path: Path) -> None:
    bundle = load_bundle(path)
    assert bundle.info.certificate.status == "passed"
    assert golden_error(path) < 1e-6
    config = load_config(REPOSITORY / "configs" / f"{path.name}.yaml")
    # Keys that a later version added have their defaults.
    thresholds = CertificateConfig.model_validate(bundle.info.certificate.thresholds)
    assert thresholds == config.certificate
    assert bundle.info.seed == config.seed
