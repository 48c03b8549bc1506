import dataclasses
import json

import jax
import pytest

from priorvae.config import CertificateConfig
from priorvae.errors import BundleError
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.document import Evaluation, from_json, to_json
from priorvae.evaluation.prior import evaluate_prior
from priorvae.processes import GP
from tests.evaluation.linear import Linear


@pytest.fixture(scope="module")
def evaluation(process: GP) -> Evaluation:
    decoder = Linear(process, process.root)
    prior = evaluate_prior(
        jax.random.key(1), decoder, process, num_conditions=2, num_draws=100, reference=decoder
    )
    return Evaluation(prior, None, certify(prior, None, CertificateConfig()), {"prior": 1.5})


def test_an_evaluation_is_read_back_unchanged(evaluation: Evaluation) -> None:
    text = to_json(evaluation)
    assert from_json(text) == evaluation
    assert set(json.loads(text)) == {
        "format_version",
        "prior",
        "posterior",
        "certificate",
        "calibration",
        "seconds",
    }


def test_numbers_that_json_lacks_are_read_back(evaluation: Evaluation) -> None:
    endless = dataclasses.replace(evaluation, seconds={"prior": float("inf")})
    assert "Infinity" not in to_json(endless)
    assert from_json(to_json(endless)) == endless


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format_version": 1}'])
def test_what_is_no_evaluation_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"there\.json"):
        from_json(text, "there.json")


def test_another_version_is_refused(evaluation: Evaluation) -> None:
    later = dataclasses.replace(evaluation, format_version=2)
    with pytest.raises(BundleError, match="format version 2"):
        from_json(to_json(later))


def test_nan_never_passes(evaluation: Evaluation) -> None:
    points = [dataclasses.replace(p, worst_sd=float("nan")) for p in evaluation.prior.points]
    broken = dataclasses.replace(evaluation.prior, points=tuple(points))
    assert not certify(broken, None, CertificateConfig()).passed


def test_an_importance_threshold_is_judged_only_where_it_is_set(evaluation: Evaluation) -> None:
    strict = certify(evaluation.prior, None, CertificateConfig(importance_fraction=0.9))
    assert strict.passed
    assert len(strict.figures) == len(evaluation.certificate.figures) + 1


def test_the_summary_says_which_figure_where_and_at_which_theta(process: GP) -> None:
    decoder = Linear(process, lambda hyper: 0.8 * process.root(hyper))
    prior = evaluate_prior(jax.random.key(1), decoder, process, num_conditions=2, num_draws=100)
    summary = certify(prior, None, CertificateConfig()).summary()
    assert "Worst area's ratio of marginal sds is 0.8 (required: 0.95 to 1.05)" in summary
    assert "lengthscale = " in summary
    assert "area " in summary
