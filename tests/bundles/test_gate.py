"""What is not certified is not handed on, and says why."""

from dataclasses import asdict, replace
from pathlib import Path

import jax
import pytest

from priorvae.areas import read_areas
from priorvae.bundles import Bundle, load_bundle, require_certified, uncertified, write_bundle
from priorvae.bundles.info import CertificateInfo
from priorvae.config import CertificateConfig
from priorvae.errors import BundleError
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import GP, Condition
from tests.samples import reference_bundle


def judged(factor: float) -> Bundle:
    """The reference with its kernels times a factor, and the certificate that it gets."""
    areas = read_areas("grid:3x4")
    condition = Condition("lengthscale", "km", 0.5, 4.0, "log", "loguniform")
    process = GP(areas, "matern32", (condition,), {}, 1e-6)
    exact = reference_bundle(process)
    weights = {k: v * (factor if "kernel" in k else 1) for k, v in exact.weights.items()}
    bundle = replace(exact, weights=weights)
    prior = evaluate_prior(jax.random.key(1), bundle, process, num_conditions=2, num_draws=100)
    found = certify(prior, None, CertificateConfig())
    certificate = CertificateInfo(
        status=found.status,  # type: ignore[arg-type]
        figures=[asdict(figure) for figure in found.figures],
        thresholds=found.thresholds,
    )
    info = bundle.info.model_copy(update={"certificate": certificate})
    return replace(bundle, info=info)


@pytest.fixture(scope="module")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_bundle(judged(0.9), tmp_path_factory.mktemp("gate") / "shrunk"))


def test_a_certified_bundle_passes() -> None:
    bundle = judged(1.0)
    require_certified(bundle)
    assert uncertified(bundle.info) == ""


def test_a_failed_one_is_refused_with_its_figures_and_their_places(shrunk: Bundle) -> None:
    with pytest.raises(BundleError) as caught:
        require_certified(shrunk)
    message = str(caught.value)
    assert message.startswith(f"{shrunk.path}: not certified: ")
    assert "Mean ratio of marginal sds is 0.9 (required: 0.98 to 1.02)" in message
    assert "ratio of marginal sds is 0.9 (required: 0.95 to 1.05), worst at " in message
    assert "lengthscale = " in message and ", area " in message
    assert "--allow-uncertified" in message
    assert "Ratio of neighbour correlations" not in message  # which passed


def test_consent_opens_the_gate(shrunk: Bundle) -> None:
    require_certified(shrunk, allow_uncertified=True)


def test_one_that_was_never_judged_is_refused() -> None:
    condition = Condition("lengthscale", "km", 0.5, 4.0, "log", "loguniform")
    bundle = reference_bundle(GP(read_areas("grid:2x3"), "rbf", (condition,), {}, 1e-6))
    with pytest.raises(BundleError, match="nobody has compared it"):
        require_certified(bundle)


def test_figures_that_json_cannot_hold_are_still_told(tmp_path: Path, shrunk: Bundle) -> None:
    nan = dict(shrunk.info.certificate.figures[0], value=float("nan"), passed=False)
    certificate = shrunk.info.certificate.model_copy(update={"figures": [nan]})
    info = shrunk.info.model_copy(update={"certificate": certificate})
    written = write_bundle(replace(shrunk, info=info), tmp_path / "bundle")
    assert "is nan (required: at most 0.05)" in uncertified(load_bundle(written).info)
