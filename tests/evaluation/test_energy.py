"""The energy distance as a figure of the certificate, where a configuration asks for it."""

from dataclasses import replace

import jax
import pytest

from priorvae.config import CertificateConfig
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.processes import Condition, ProperCAR
from tests.maps import lattice
from tests.samples import reference_bundle


@pytest.fixture(scope="module")
def prior() -> PriorFidelity:
    alpha = Condition("alpha", "", 0.0, 0.9, "log1m", "uniform")
    process = ProperCAR(lattice(3, 4), (alpha,), {})
    return evaluate_prior(jax.random.key(0), reference_bundle(process), process, num_draws=100)


def test_it_is_judged_where_a_threshold_is_given(prior: PriorFidelity) -> None:
    names = {figure.name for figure in certify(prior, None, CertificateConfig()).figures}
    assert "energy_pvalue" not in names
    certificate = certify(prior, None, CertificateConfig(energy_pvalue=0.01))
    (figure,) = (f for f in certificate.figures if f.name == "energy_pvalue")
    smallest = min(point.energy_pvalue for point in prior.points)
    assert figure.value == min(1.0, len(prior.points) * smallest)
    assert certificate.passed, certificate.summary()


def test_one_theta_whose_draws_differ_fails_it(prior: PriorFidelity) -> None:
    last = replace(prior.points[-1], energy_pvalue=1e-3)
    wrong = replace(prior, points=(*prior.points[:-1], last))
    certificate = certify(wrong, None, CertificateConfig(energy_pvalue=0.01))
    (failure,) = certificate.failures
    assert failure.name == "energy_pvalue" and failure.value == pytest.approx(7e-3)
    assert failure.hyper == last.hyper
    assert "p-value of the energy distance" in certificate.summary()
