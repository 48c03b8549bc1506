"""`type: auto`: every kind of process leads to its decoder, and the rival is named."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from priorvae.areas import Areas, read_areas
from priorvae.config import (
    AutoConfig,
    CertificateConfig,
    EngressionConfig,
    ReferenceConfig,
    RegressionConfig,
    VAEConfig,
)
from priorvae.errors import ConfigError, ProcessError
from priorvae.objectives import Choice, build_objective, choose, require_learnable
from priorvae.objectives.choice import LARGEST_ANALYTIC, LARGEST_DECOMPOSED
from priorvae.objectives.costs import DecoderShape, exact_operations, time_decoder
from priorvae.objectives.hsgp import hilbert_basis
from priorvae.objectives.truncation import latents_needed
from priorvae.processes import GP, Process, build_process
from priorvae.processes.build import read_process
from tests.maps import triangulation
from tests.simulators import LOGNORMAL, SIGMA, W, build

WIDE = {"distribution": "loguniform", "low": 0.05, "high": 1.0, "unit": "extent"}
LONG = {"distribution": "loguniform", "low": 0.4, "high": 0.8, "unit": "extent"}
RHO = {"distribution": "uniform", "low": 0.0, "high": 0.99}


def process(areas: Areas, kind: str = "gp", **keys: Any) -> Process:
    return build_process(read_process({"kind": kind, **keys}), areas)


def gp(areas: Areas, kernel: str = "matern32", lengthscale: Any = WIDE) -> GP:
    made = process(areas, kernel=kernel, lengthscale=lengthscale)
    assert isinstance(made, GP)
    return made


def rivals(choice: Choice, better: bool) -> set[str]:
    return {other.name for other in choice.alternatives if other.better is better}


@pytest.fixture(scope="module")
def counties() -> Areas:
    return triangulation(120)


def test_a_rough_prior_gets_a_gated_linear_decoder_of_full_rank(counties: Areas) -> None:
    choice = choose(gp(counties))
    assert isinstance(choice.model, RegressionConfig) and choice.model.type == "GatedLinear"
    assert choice.shape == DecoderShape(120, 300, 120)
    # n^3 / 2 against n d + m (d + n), as stated.
    assert f"{120**3 / 2 / (120 * 120 + 180 * 240):.0f} times as much" in choice.reasons[-1]
    assert rivals(choice, better=True) == set()
    assert rivals(choice, better=False) == {"HSGP", "reference"}


def test_a_smooth_prior_gets_few_latents_and_hears_of_the_hsgp() -> None:
    areas = triangulation(400)
    choice = choose(gp(areas, "rbf", LONG))
    assert isinstance(choice.model, VAEConfig) and choice.model.type == "PriorCVAE"
    latents = choice.model.latent_dim
    assert isinstance(latents, int) and latents < 20
    assert (choice.model.structure, choice.model.encoder) == ("gated-linear", "full")
    assert rivals(choice, better=True) == {"HSGP"}
    assert "Riutort-Mayol" in choice.record().better[0].advice
    assert f"{latents} latents for 400 values" in choice.record().text()


def test_importance_weights_ask_for_every_latent(counties: Areas) -> None:
    strict = CertificateConfig(importance_fraction=0.9)
    choice = choose(gp(counties, "rbf", LONG), strict)
    assert isinstance(choice.model, RegressionConfig)


def test_a_small_map_hears_of_exact_inference() -> None:
    choice = choose(gp(read_areas("grid:6x6")))
    assert "exact Gaussian process" in rivals(choice, better=True)
    assert "exact Gaussian process" not in rivals(choose(gp(read_areas("grid:9x9"))), better=True)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("car", {"alpha": RHO}),
        ("leroux", {"rho": RHO}),
        ("bym2", {"rho": RHO}),
        ("icar", {}),
        (
            "space-time",
            {
                "times": 3,
                "spatial": {"kind": "leroux", "rho": RHO},
                "temporal": {"kind": "ar1", "phi": RHO},
            },
        ),
    ],
)
def test_a_graph_prior_gets_its_eigenbasis_and_is_told_that_a_network_gains_nothing(
    kind: str, keys: dict[str, Any]
) -> None:
    choice = choose(process(read_areas("grid:5x5"), kind, **keys))
    assert isinstance(choice.model, ReferenceConfig)
    assert "eigenbasis" in choice.headline and "no training" in choice.headline
    text = choice.record().text()
    assert "A neural decoder of this prior on one graph could only approximate it" in text
    assert "gains nothing here" in text
    # On so small a graph the basis itself is the best there is.
    assert "sparse precision" in rivals(choice, better=False)


def test_a_constant_covariance_gets_a_prior_vae_and_hears_of_its_factor(counties: Areas) -> None:
    constant = {"distribution": "constant", "value": 0.05, "unit": "extent"}
    choice = choose(gp(counties, lengthscale=constant))
    assert isinstance(choice.model, VAEConfig) and choice.model.type == "PriorVAE"
    assert choice.model.latent_dim == 120
    assert "exact, one Cholesky factor" in rivals(choice, better=True)
    smooth = choose(gp(counties, "rbf", {**constant, "value": 0.5}))
    assert isinstance(smooth.model, VAEConfig)
    assert isinstance(smooth.model.latent_dim, int) and smooth.model.latent_dim < 30


@pytest.mark.parametrize("hypers", [{"w": W}, {"w": 0.5}], ids=["conditional", "constant"])
def test_a_simulator_gets_a_network_that_learns_from_draws(
    hypers: dict[str, Any], tmp_path: Path
) -> None:
    made = build(tmp_path, LOGNORMAL, read_areas("grid:4x5"), **hypers, sigma=SIGMA)
    choice = choose(made)
    assert isinstance(choice.model, EngressionConfig)
    assert (choice.model.structure, choice.model.output) == ("film-mlp", "identity")
    require_learnable(choice.model, choice.training, made)
    assert "eigenbasis" in choice.record().text() and "HSGP" in choice.record().text()


@pytest.mark.parametrize(
    ("nonlinearity", "statistic", "output"),
    [("exp", "mean", "exp"), ("exp", "sum", "exp"), ("expit", "mean", "sigmoid")],
)
def test_an_aggregated_risk_stays_in_its_range(
    nonlinearity: str, statistic: str, output: str
) -> None:
    made = process(
        read_areas("grid:3x4"),
        "aggregated",
        of={"kind": "gp", "kernel": "rbf", "lengthscale": {**LONG, "unit": "km"}},
        cells=30,
        nonlinearity=nonlinearity,
        statistic=statistic,
        amplitude={"distribution": "uniform", "low": 0.1, "high": 1.0},
    )
    choice = choose(made)
    assert isinstance(choice.model, EngressionConfig)
    assert (choice.model.structure, choice.model.output) == ("gated-linear", output)
    require_learnable(choice.model, choice.training, made)


def test_beyond_what_can_be_fitted_the_analytic_decoder_is_left(
    counties: Areas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("priorvae.objectives.choice.LARGEST_FITTED", 100)
    choice = choose(gp(counties))
    assert isinstance(choice.model, ReferenceConfig)
    assert "interpolated symmetric root" in choice.headline
    # n^3 / 2 against 8 n^2.
    assert f"{120 / 16:.2g} times as much" in choice.reasons[-1]


@pytest.mark.parametrize(
    ("kind", "side", "instead"), [("gp", 70, "HSGP"), ("car", 80, "sparse CAR")]
)
def test_beyond_dense_matrices_the_refusal_names_what_is_feasible(
    kind: str, side: int, instead: str
) -> None:
    keys = {"kernel": "matern32", "lengthscale": WIDE} if kind == "gp" else {"alpha": RHO}
    large = process(read_areas(f"grid:{side}x{side}"), kind, **keys)
    assert large.size > (LARGEST_ANALYTIC if kind == "gp" else LARGEST_DECOMPOSED)
    with pytest.raises(ProcessError, match=instead) as caught:
        choose(large)
    assert f"{large.size:,} values" in str(caught.value)


def test_auto_itself_is_no_objective(counties: Areas) -> None:
    with pytest.raises(ConfigError, match="a choice yet to be made"):
        build_objective(AutoConfig(type="auto"), gp(counties))


# Latents, by the decoder that leaves the others out -------------------------------------------


@pytest.mark.parametrize(("kernel", "low"), [("rbf", 0.1), ("matern32", 0.2), ("matern32", 0.4)])
def test_so_many_latents_do_and_one_fewer_does_not(
    kernel: str, low: float, counties: Areas
) -> None:
    made = gp(counties, kernel, {**WIDE, "low": low})
    bounds = CertificateConfig()
    found = latents_needed(made, bounds)
    grid = [{"lengthscale": float(v)} for v in made.conditions[0].grid(7)]
    mean = sum(made.covariance(hyper) for hyper in grid)
    directions = np.linalg.eigh(mean)[1][:, ::-1]

    def within(number: int) -> bool:
        kept = directions[:, :number]
        return all(_within(made, hyper, kept, bounds) for hyper in grid)

    assert within(found.number) and not within(found.number - 1)
    assert found.hyper["lengthscale"] == pytest.approx(made.conditions[0].low)


def _within(made: GP, hyper: dict[str, float], kept: np.ndarray, bounds: CertificateConfig) -> bool:
    """Whether a decoder of these latents stays within half of every threshold, the long way."""
    exact, root = made.covariance(hyper), made.root(hyper)
    left = root @ kept @ kept.T @ root
    sds = 1 - np.sqrt(np.diag(left) / np.diag(exact))
    figures = [
        (np.linalg.norm(left - exact) / np.linalg.norm(exact), bounds.covariance_error),
        (sds.max(), bounds.worst_sd),
        (sds.mean(), bounds.mean_sd),
        (np.linalg.norm(root - root @ kept @ kept.T) ** 2 / np.trace(exact), 0.01),
    ]
    assert bounds.bures_wasserstein == 0.01
    return all(figure <= bound / 2 for figure, bound in figures)


def test_the_documented_latents_of_georgia(repository: Path) -> None:
    page = (repository / "docs" / "explanation" / "choosing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (0\.\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    areas = read_areas("builtin:georgia")
    for low, *documented in rows:
        made = [gp(areas, k, {**WIDE, "low": float(low)}) for k in ("matern12", "matern32", "rbf")]
        found = [latents_needed(each, CertificateConfig()).number for each in made]
        assert found == [int(number) for number in documented], low
    basis = hilbert_basis(gp(areas))
    assert basis is not None and round(basis.total, -3) == 95_000


# HSGP -------------------------------------------------------------------------------------------


def test_basis_functions_by_hand() -> None:
    """Matern-3/2 on a strip of 20 x 10 km, lengthscales 2 to 8: c = 4.5 l / S, m = 3.42 c S / l."""
    areas = read_areas("grid:3x5")
    places = np.array([[x, y] for y in (0.0, 5.0, 10.0) for x in (0.0, 5.0, 10.0, 15.0, 20.0)])
    areas = replace(areas, centroids=places)
    lengthscale = {"distribution": "loguniform", "low": 2.0, "high": 8.0, "unit": "km"}
    basis = hilbert_basis(gp(areas, lengthscale=lengthscale))
    assert basis is not None
    assert basis.boundaries == (pytest.approx(4.5 * 8 / 10), pytest.approx(4.5 * 8 / 5))
    assert basis.functions == (62, 62)  # 3.42 * 3.6 * 10 / 2 = 61.56, and the same across
    assert basis.total == 3844
    short = {**lengthscale, "high": 2.1}
    found = hilbert_basis(gp(areas, lengthscale=short))
    assert found is not None and found.boundaries[0] == 1.2  # 4.5 * 2.1 / 10 is less
    assert found.functions[0] == 21  # 3.42 * 1.2 * 10 / 2 = 20.52


def test_no_recommendation_where_there_is_none(counties: Areas) -> None:
    assert hilbert_basis(gp(counties, "matern12")) is None
    car = process(counties, "car", alpha=RHO)
    assert hilbert_basis(car) is None  # type: ignore[arg-type]


# Costs ------------------------------------------------------------------------------------------


def test_operations_count_every_product() -> None:
    """Three latents with a gate each, two more that mix them; and two gates only, which mix."""
    assert DecoderShape(3, 5, 7).operations == 7 * 3 + (2 * 3 + 7 * 2)
    assert DecoderShape(3, 2, 7).operations == 2 * 3 + 7 * 2
    assert exact_operations(100) == 500_000


def test_timing_is_left_out_where_it_would_take_long(counties: Areas) -> None:
    timing = time_decoder(gp(counties), DecoderShape(120, 240, 120))
    assert timing is not None
    assert 0 < timing.decoder < timing.exact < 1
    assert time_decoder(gp(read_areas("grid:40x40")), DecoderShape(1, 1, 1600)) is None
