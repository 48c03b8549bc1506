"""The released bundles are certified, and readable by NumPy alone."""

from pathlib import Path

import pytest

from priorvae.bundles import load_bundle
from priorvae.config import load_config
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
    assert bundle.info.certificate.thresholds == config.certificate.model_dump(mode="json")
    assert bundle.info.seed == config.seed
