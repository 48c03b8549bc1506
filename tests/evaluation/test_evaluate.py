"""A bundle evaluated on disk: files, report, command line, and the posterior's part."""

import dataclasses
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from priorvae.areas import read_areas
from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.bundles.info import CertificateInfo
from priorvae.cli.main import build_app
from priorvae.config import PosteriorConfig
from priorvae.errors import InputError, ProcessError
from priorvae.evaluation.comparison import SIMULATED, posterior_fidelity, simulate_counts
from priorvae.evaluation.document import from_json
from priorvae.pipeline.evaluation import evaluate_path, map_of
from priorvae.processes import GP
from tests.samples import reference_bundle


def bundle_of(process: GP, factor: float = 1.0) -> Bundle:
    """The reference as a bundle that calls itself trained, its kernels times a factor."""
    certificate = CertificateInfo(status="not evaluated", thresholds={"num_draws": 200})
    exact = reference_bundle(process, type="PriorCVAE", name="<b>grid</b>", certificate=certificate)
    weights = {k: v * (factor if "kernel" in k else 1) for k, v in exact.weights.items()}
    return replace(exact, weights=weights)


@pytest.fixture(scope="module")
def good(process: GP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(bundle_of(process), tmp_path_factory.mktemp("good") / "bundle")


@pytest.fixture(scope="module")
def bad(process: GP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(bundle_of(process, 0.9), tmp_path_factory.mktemp("bad") / "bundle")


class Page(HTMLParser):
    """Collects what a reader or a screen reader meets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_good_bundle_passes_and_leaves_a_report(good: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["evaluate", str(good), "--out", str(tmp_path / "e")])
    assert result.exit_code == 0, result.output
    assert "passed" in result.output
    found = from_json((tmp_path / "e" / "evaluation.json").read_text("utf-8"))
    assert found.certificate.passed
    assert found.prior.reference is not None
    text = (tmp_path / "e" / "report.html").read_text("utf-8")
    page = Page(text)
    assert "Passed: this decoder can stand in for its prior." in page.text
    assert len(page.images) >= 10
    assert all(image["alt"] and str(image["src"]).startswith("data:") for image in page.images)
    # Self-contained: nothing is fetched, nothing runs, and a name is text and not markup.
    assert not re.search(r"""(?:src|href)="(?!data:)|url\(|@import""", text)
    assert not {"script", "link", "iframe", "b"} & set(page.tags)


def test_a_shrunken_bundle_fails_with_exit_code_1(bad: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["evaluate", str(bad), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "FAILED" in result.output
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert "Failed: do not use this decoder in place of its prior." in page.text
    assert "Mean ratio of marginal sds" in page.text


def test_an_earlier_evaluation_is_not_overwritten(good: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"report\.html already"):
        evaluate_path(bundle=good, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="is a file"):
        evaluate_path(bundle=good, out=tmp_path / "report.html")


def test_thresholds_of_another_version_are_refused(process: GP, tmp_path: Path) -> None:
    bundle = bundle_of(process)
    certificate = CertificateInfo(status="passed", thresholds={"beauty": 1.0})
    info = bundle.info.model_copy(update={"certificate": certificate})
    write_bundle(Bundle(info, bundle.areas, bundle.weights), tmp_path / "bundle")
    with pytest.raises(InputError, match=r"thresholds\.beauty"):
        evaluate_path(bundle=tmp_path / "bundle", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_map_is_drawn_from_its_source_where_that_is_at_hand(good: Path) -> None:
    bundle = load_bundle(good)
    assert map_of(bundle).ids == bundle.area_ids
    boundary = bundle.info.boundary.model_copy(update={"source": "gone.gpkg"})
    gone = Bundle(bundle.info.model_copy(update={"boundary": boundary}), bundle.areas, {})
    assert map_of(gone) is gone.areas


def test_simulated_counts_have_the_rate_they_say(process: GP) -> None:
    found = simulate_counts(jax.random.key(2), process, mean_count=500.0)
    expected = np.exp(found.data.offset) * found.rate
    residuals = (found.data.y - expected) / np.sqrt(expected)
    # Mean square of 36 standardised Poisson residuals, four standard errors.
    assert np.mean(residuals**2) == pytest.approx(1, abs=4 * np.sqrt(2 / 36))


@pytest.mark.slow
def test_the_posterior_of_the_reference_is_the_exact_one(process: GP) -> None:
    small = GP(read_areas("grid:3x4"), process.kernel, process.conditions, {}, 1e-6)
    settings = PosteriorConfig(
        data=SIMULATED, formula="", family="poisson", chains=2, warmup=150, samples=200
    )
    found = posterior_fidelity(jax.random.key(5), bundle_of(small), small, settings)
    assert found.variable == "risk"
    assert [h.name for h in found.hyperparameters] == ["f_lengthscale", "f_scale"]
    # Two runs of this length differ by about their floor, which is itself an estimate.
    assert found.rmse < 2 * found.rmse_floor
    assert found.familywise_pvalue() > 0.001
    assert found.importance_fraction is not None
    assert found.importance_fraction > 0.9
    # The same draws on both sides: nothing of the two runs' Monte Carlo error is left.
    assert set(found.shifts) == {"f_lengthscale", "f_scale"}
    assert found.largest_shift() < 0.01 and found.area_shift is not None
    assert abs(found.area_shift[0]) < 0.01
    assert found.truth_coverage is not None
    assert min(found.truth_coverage) > 0.75


@pytest.mark.slow
def test_a_weighted_comparison_is_the_sampled_one_without_its_noise(process: GP) -> None:
    small = GP(read_areas("grid:3x4"), process.kernel, process.conditions, {}, 1e-6)
    exact = bundle_of(small)
    weights = {k: v * (1.1 if "kernel" in k else 1) for k, v in exact.weights.items()}
    wide = dataclasses.replace(exact, weights=weights)
    settings = PosteriorConfig(
        data=SIMULATED, formula="", family="poisson", chains=2, warmup=300, samples=1500
    )
    sampled = posterior_fidelity(jax.random.key(5), wide, small, settings)
    weighted = posterior_fidelity(
        jax.random.key(5), wide, small, settings.model_copy(update={"exact": "weighted"})
    )
    assert weighted.exact_run is None and weighted.rmse_floor is None
    assert weighted.importance_fraction == sampled.importance_fraction
    # A field 1.1 times too wide has a scale that much too small, and is seen as such.
    (scale,) = [h for h in weighted.hyperparameters if h.name == "f_scale"]
    assert weighted.shifts["f_scale"][0] < -5 * weighted.shifts["f_scale"][1]
    assert scale.shift == pytest.approx(weighted.shifts["f_scale"][0], abs=0.02)
    # The exact posterior's means, by weights and by its own run: four standard errors of the
    # difference of two runs, of the worst of 12 areas.
    difference = np.subtract(weighted.areas.exact_mean, sampled.areas.exact_mean)
    error = np.array(sampled.areas.exact_sd) * np.sqrt(2 / 800)
    assert np.max(np.abs(difference) / error) < 4


def test_a_decoder_without_weights_has_no_weighted_comparison(process: GP) -> None:
    bundle = bundle_of(process)
    mixture = dataclasses.replace(bundle, info=bundle.info.model_copy(update={"conditions": []}))
    settings = PosteriorConfig(data=SIMULATED, formula="", family="poisson", exact="weighted")
    with pytest.raises(ProcessError, match="exact: weighted: the decoder integrates lengthscale"):
        posterior_fidelity(jax.random.key(5), mixture, process, settings)
