"""Space-time and several outcomes, from a configuration to a certified bundle and its use."""

import re
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
import yaml
import zarr

import priorvae
from priorvae.areas import read_areas
from priorvae.bundles import Bundle, describe, load_bundle, write_bundle
from priorvae.cli import main as command_line
from priorvae.config import RunConfig, parse_config
from priorvae.decoders import numpy_backend
from priorvae.errors import DataError, InputError
from priorvae.evaluation.comparison import observed_data, simulate_counts
from priorvae.inference.run import infer
from priorvae.objectives import build_objective, reference_decoder
from priorvae.objectives.regression import Regression
from priorvae.pipeline import Run, train_run
from priorvae.processes import Process, build_process
from priorvae.processes.base import Gaussian, require_gaussian
from priorvae.processes.samplers import build_sampler
from tests.bundles.numpy_reader import golden_error

PHI = {"distribution": "uniform", "low": -0.5, "high": 0.95}
LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
LOADING = {"distribution": "uniform", "low": -2.0, "high": 2.0}
AR1 = {
    "kind": "space-time", "times": [2001, 2002, 2003], "spatial": {"kind": "car", "alpha": 0.9},
    "temporal": {"kind": "ar1", "phi": PHI},
}  # fmt: skip
# Its root has fewer columns than rows, and no eigenbasis.
WALK = {
    "kind": "space-time", "times": 3, "temporal": {"kind": "rw1"},
    "spatial": {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE},
}  # fmt: skip
LINEAR = {
    "kind": "multivariate", "outcomes": ["hiv", "tb"],
    "components": [{"kind": "car", "alpha": 0.9}, {"kind": "bym2", "rho": 0.5}],
    "loadings": {"hiv": [1, 0], "tb": [LOADING, 1]},
}  # fmt: skip


FIXED = {
    "kind": "multivariate", "outcomes": ["hiv", "tb"], "shared": {"kind": "car", "alpha": 0.9},
    "shares": {"hiv": 0.4, "tb": 0.7},
}  # fmt: skip


def configuration(process: dict[str, Any], type_: str = "reference") -> dict[str, Any]:
    return {
        "name": "layers", "seed": 2, "areas": {"source": "grid:3x3"}, "process": process,
        "model": {"type": type_} | ({} if type_ == "reference" else {"warm_start_sweeps": 100}),
        "training": {
            "steps": 20, "conditions_per_step": 4, "learning_rate": 1e-6, "warmup_steps": 5,
            "log_every": 10, "checkpoint_every": 10,
        },
        "certificate": {"num_draws": 200, "covariance_error": 0.005},
    }  # fmt: skip


def config_of(process: dict[str, Any], type_: str = "reference") -> RunConfig:
    return parse_config(configuration(process, type_), "config.yaml")


def process_of(process: dict[str, Any]) -> Gaussian:
    found = build_process(config_of(process).process, read_areas("grid:3x3"))
    return require_gaussian(found, "this test")


@pytest.fixture(scope="module")
def space_time(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("layers") / "run"
    return train_run(config_of(AR1, "PriorCVAE"), out=out)


def test_a_few_steps_reach_the_certificate(space_time: Run) -> None:
    run = space_time
    assert run.evaluation.certificate.passed, run.evaluation.certificate.summary()
    bundle = load_bundle(run.directory / "bundle")
    assert golden_error(run.directory / "bundle") < 1e-6
    assert bundle.latent_dim == 36 and bundle.num_areas == 9
    assert_is_the_process(bundle, 0.005)


def assert_is_the_process(bundle: Bundle, tolerance: float) -> None:
    exact = require_gaussian(bundle.process(), "this test")
    assert bundle.size == exact.size == len(bundle.sites) and bundle.sites == exact.sites
    for unit in (-1.0, 0.3, 1.0):
        hyper = {c.name: float(c.from_unit(unit)) for c in bundle.conditions}
        matrix, expected = bundle.matrix(hyper), exact.covariance(hyper)
        error = np.linalg.norm(matrix @ matrix.T - expected) / np.linalg.norm(expected)
        assert error < tolerance


@pytest.mark.parametrize(
    ("process", "latent_dim"), [(AR1, 36), (WALK, 18), (LINEAR, 18), (FIXED, 27)]
)
def test_the_analytic_decoder_takes_the_latents_of_the_root(
    process: dict[str, Any], latent_dim: int, tmp_path: Path
) -> None:
    """More of them than values, or fewer."""
    config, exact = config_of(process), process_of(process)
    decoder, weights = reference_decoder(exact)
    info = describe(decoder, weights, exact, config.process, name="x", type="reference", seed=1)
    write_bundle(Bundle(info, exact.areas, weights), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.latent_dim == latent_dim and golden_error(tmp_path / "bundle") < 1e-6
    assert_is_the_process(bundle, 1e-5)


@pytest.mark.parametrize(
    ("process", "type_", "latent_dim"),
    [
        (AR1, "PriorCVAE", 36),
        (AR1, "GatedLinear", 36),
        (WALK, "PriorCVAE", 18),
        (WALK, "GatedLinear", 18),
        (LINEAR, "PriorCVAE", 18),
        (FIXED, "PriorVAE", 18),
        (FIXED, "PriorCVAE", 18),
        (FIXED, "GatedLinear", 27),
    ],
)
def test_training_starts_from_the_process(
    process: dict[str, Any], type_: str, latent_dim: int
) -> None:
    exact = process_of(process)
    objective = build_objective(config_of(process, type_).model, exact)
    start = objective.start(0)
    assert objective.decoder.latent_dim == latent_dim and start is not None
    for unit in (-1.0, 0.3, 1.0):
        hyper = {c.name: float(c.from_unit(unit)) for c in exact.conditions}
        matrix, expected = numpy_backend.matrix(objective.decoder, start, hyper), exact.root(hyper)
        if not isinstance(objective, Regression):
            matrix, expected = matrix @ matrix.T, expected @ expected.T
        elif objective.axes is not None:  # pairs its latents with that root's columns, turned
            expected = expected @ objective.axes
        assert np.linalg.norm(matrix - expected) < 0.005 * np.linalg.norm(expected)


def test_what_a_layered_bundle_says_of_itself(space_time: Run) -> None:
    bundle = space_time.bundle
    assert bundle.info.layers is not None
    assert bundle.info.layers.name == "time" and bundle.info.layers.labels[2] == "2003"
    assert bundle.sites[9:11] == (f"2002/{bundle.area_ids[0]}", f"2002/{bundle.area_ids[1]}")
    card = (space_time.directory / "bundle" / "README.md").read_text("utf-8")
    assert "over 9 areas and 3 times (2001, 2002, 2003), 36 latents" in card
    assert "the order of `f` within each time, one after another" in card
    report = (space_time.directory / "report.html").read_text("utf-8")
    assert "over 9 areas and 3 times, 36 latents" in report
    assert "3 layers of a draw of the process" in report
    assert "one time after another" in report and "time 2001" in report
    worst = {figure.name: figure for figure in space_time.evaluation.certificate.figures}
    (site,) = worst["worst_sd"].areas
    assert site in bundle.sites and site in report


def test_a_layered_bundle_in_a_model(space_time: Run) -> None:
    """Three observations, of two areas at two times: `layer * num_areas + area`."""
    bundle = space_time.bundle
    index = np.array([0 * 9 + 4, 2 * 9 + 4, 2 * 9 + 8])
    assert [bundle.sites[i] for i in index] == [
        f"{time}/{bundle.area_ids[area]}" for time, area in ((2001, 4), (2003, 4), (2003, 8))
    ]

    def model() -> jax.Array:
        return priorvae.numpyro.spatial_effect("f", bundle, index=index)

    seeded = numpyro.handlers.seed(model, 0)
    trace = numpyro.handlers.trace(seeded).get_trace()
    values = {name: site["value"] for name, site in trace.items()}
    assert values["f"].shape == (27,)
    chosen = numpyro.handlers.seed(model, 0)()
    np.testing.assert_array_equal(chosen, values["f"][jnp.asarray(index)])
    field = bundle.decode(values["f_z"], {"phi": values["f_phi"]})
    np.testing.assert_allclose(values["f"], values["f_scale"] * field)


def test_inference_by_area_id_is_refused(space_time: Run, tmp_path: Path) -> None:
    place = space_time.directory / "bundle"
    message = r"9 areas and 3 times \(2001, 2002, 2003\).*spatial_effect.*index"
    with pytest.raises(InputError, match=message):
        infer(bundle=place, data="x.csv", formula="y ~ 1", family="poisson", out=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_posteriors_are_compared_on_simulated_data_alone(space_time: Run, tmp_path: Path) -> None:
    process = space_time.bundle.process()
    assert isinstance(process, Gaussian)
    simulated = simulate_counts(jax.random.key(0), process)
    assert simulated.data.area_ids == space_time.bundle.sites
    posterior = {"data": "counts.csv", "id": "i", "formula": "y ~ 1", "family": "poisson"}
    raw = configuration(AR1) | {"certificate": {"posterior": posterior}}
    config = parse_config(raw, "config.yaml")
    with pytest.raises(DataError, match=r"3 times \(got counts.csv\); use `data: simulated`"):
        train_run(config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    posterior["data"] = "simulated"
    config = parse_config(raw, "config.yaml")
    assert config.certificate.posterior is not None
    assert observed_data(process, config.certificate.posterior) is None


@pytest.mark.slow
def test_posteriors_on_simulated_data(tmp_path: Path) -> None:
    posterior = {"data": "simulated", "formula": "y ~ x", "family": "poisson", "samples": 500}
    raw = configuration(AR1) | {"certificate": {"posterior": posterior}}
    run = train_run(parse_config(raw, "config.yaml"), out=tmp_path / "run")
    assert run.evaluation.certificate.passed, run.evaluation.certificate.summary()
    assert run.evaluation.posterior is not None
    assert run.evaluation.posterior.worst_area in run.bundle.sites
    assert run.evaluation.posterior.importance_fraction == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("process", "name", "labels", "hyper"),
    [
        (AR1, "time", ["2001", "2002", "2003"], ["phi"]),
        (LINEAR, "outcome", ["hiv", "tb"], ["loading_tb_1"]),
    ],
)
def test_simulate(
    process: dict[str, Any],
    name: str,
    labels: list[str],
    hyper: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "layers.yaml"
    config.write_text(yaml.safe_dump(configuration(process)))
    out = tmp_path / "draws.npz"
    for path in (out, tmp_path / "draws.zarr"):
        with pytest.MonkeyPatch.context() as patch:
            arguments = ["simulate", config, "--draws", 50, "--out", path]
            patch.setattr(sys, "argv", ["priorvae", *map(str, arguments)])
            with pytest.raises(SystemExit) as exit_:
                command_line.main()
        assert not exit_.value.code
        assert "sampler  kronecker" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as draws:
        assert sorted(draws) == sorted(["draws", "area_ids", "simulation", name, *hyper])
        assert draws["draws"].shape == (50, len(labels), 9)
        assert draws[name].tolist() == labels and len(draws["area_ids"]) == 9
        assert draws[hyper[0]].shape == (50,)
        fields = draws["draws"]
    group = zarr.open_group(tmp_path / "draws.zarr", mode="r")
    np.testing.assert_array_equal(group["draws"][:], fields)
    assert group.attrs[name] == labels


def test_the_examples_of_the_manual_are_configurations(repository: Path) -> None:
    text = (repository / "docs" / "how-to" / "space-time.md").read_text("utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        config = parse_config(yaml.safe_load(example), "space-time.md")
        process = build_process(config.process, read_areas("grid:3x3"))
        build_sampler(process).sample(jax.random.key(0), values_of(process, 2), 2)


def values_of(process: Process, num: int) -> dict[str, np.ndarray]:
    return {c.name: np.full(num, float(c.from_unit(0.0))) for c in process.conditions}


def test_a_bundle_rebuilds_its_process(space_time: Run) -> None:
    again = Bundle(space_time.bundle.info, space_time.bundle.areas, space_time.bundle.weights)
    exact = require_gaussian(again.process(), "this test")
    correlation = exact.covariance({"phi": 0.5})[::9, ::9] / exact.covariance({"phi": 0.5})[0, 0]
    np.testing.assert_allclose(correlation[0], [1, 0.5, 0.25], atol=1e-12)
