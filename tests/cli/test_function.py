"""A user's own simulator from the command line: train, evaluate by consent, simulate."""

import hashlib
import json
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import priorvae
from priorvae.areas import read_areas
from priorvae.bundles import Bundle, describe, load_bundle, write_bundle
from priorvae.bundles.info import BundleInfo
from priorvae.config import RunConfig, load_config
from priorvae.errors import BundleError
from priorvae.objectives import build_objective, require_learnable
from priorvae.processes import build_process
from tests.cli.test_train import contents, run
from tests.simulators import user_module

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "own-simulator.md"

# A spatial SIR epidemic on the grid, with a mark that it leaves whenever it is imported.
EPIDEMIC = """
    from pathlib import Path

    import jax
    import numpy as np

    Path(__file__).with_suffix(".imported").touch()

    ROWS, COLUMNS, PEOPLE = 4, 5, 200

    def draw(key, hyper):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        infected = rng.binomial(PEOPLE, 0.05, size=(ROWS, COLUMNS))
        ever = infected.copy()
        for _ in range(3):
            around = np.pad(infected, 1)
            near = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
            force = hyper["beta"] * (infected + 0.5 * near) / PEOPLE
            infected = rng.binomial(PEOPLE - ever, 1 - np.exp(-force))
            ever = ever + infected
        return np.log(ever.ravel() + 1.0)
"""
LOOSE = {
    "covariance_error": 4.0, "worst_sd": 0.99, "mean_sd": 0.9, "neighbour_correlation": 9.0,
    "bures_wasserstein": 4.0, "worst_mean": 9.0, "worst_edge": 2.0, "mmd_pvalue": 0.001,
    "num_draws": 100,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "name": "epidemic",
    "seed": 2,
    "areas": {"source": "grid:4x5"},
    "model": {
        "type": "PriorCVAE", "structure": "mlp", "hidden": 16, "latent_dim": 8,
        "encoder": "diagonal", "warm_start": "none", "likelihood_variance": 0.1,
    },
    "training": {
        "draws": "random", "batch_size": 32, "conditions_per_step": 8, "steps": 200,
        "warmup_steps": 20, "log_every": 100, "checkpoint_every": 100, "learning_rate": 1e-2,
        "rounds": 1,
    },
    "certificate": LOOSE,
}  # fmt: skip


def configuration(module: str) -> dict[str, Any]:
    beta = {"distribution": "uniform", "low": 0.1, "high": 0.5}
    process = {
        "kind": "function", "function": f"{module}:draw", "hyperparameters": {"beta": beta},
    }  # fmt: skip
    return {**CONFIG, "process": process}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A directory with a simulator, a configuration and a bundle `bundle`; the module's name."""
    folder = tmp_path_factory.mktemp("epidemic")
    with user_module(folder, EPIDEMIC) as name:
        (folder / "run.yaml").write_text(yaml.safe_dump(configuration(name)))
        with chdir(folder):
            write_bundle(untrained(load_config("run.yaml")), folder / "bundle")
        yield folder, name


def untrained(config: RunConfig) -> Bundle:
    """A bundle as training begins with it."""
    process = build_process(config.process, read_areas(config.areas.source))
    objective = build_objective(config.model, process)
    weights = {k: np.asarray(v[...]) for k, v in objective.initial(0).decoder.weights.items()}
    info = describe(
        objective.decoder, weights, process, config.process,
        name=config.name, type=config.model.type, seed=config.seed,
    )  # fmt: skip
    return Bundle(info, process.areas, weights)


@pytest.fixture
def here(place: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """The same as working directory, with the module as yet unknown to Python."""
    folder, name = place
    monkeypatch.chdir(folder)
    sys.modules.pop(name, None)
    mark(folder, name).unlink(missing_ok=True)
    yield place
    sys.modules.pop(name, None)


def mark(folder: Path, name: str) -> Path:
    return folder / f"{name}.imported"


# -- whose code runs -----------------------------------------------------------------------------


def record(folder: Path, name: str) -> dict[str, Any]:
    text = (folder / f"{name}.py").read_bytes()
    return {
        "module": name, "name": "draw", "sha256": hashlib.sha256(text).hexdigest(),
        "compiled": False,
    }  # fmt: skip


def test_a_bundle_records_its_function(here: tuple[Path, str]) -> None:
    folder, name = here
    info = json.loads((folder / "bundle" / "bundle.json").read_text())
    assert info["process"]["kind"] == "function"
    assert info["process"]["function"] == record(folder, name)
    assert f"function (`{name}:draw`)" in (folder / "bundle" / "README.md").read_text()


def test_a_bundle_is_used_without_importing_anything(here: tuple[Path, str]) -> None:
    import jax

    folder, name = here
    bundle = priorvae.load(folder / "bundle")
    draws = np.asarray(bundle.sample(jax.random.key(0), {"beta": 0.3}, num_draws=200))
    # Logarithms of between 1 and 201 people, roughly: the decoder starts from the draws' moments.
    assert draws.shape == (200, 20) and 1 < draws.mean() < 5.4
    with pytest.raises(BundleError, match=r"stands for the function .* no bundle makes this"):
        bundle.process()
    assert name not in sys.modules and not mark(folder, name).exists()
    assert bundle.process(f"{name}:draw").kind == "function"
    assert mark(folder, name).exists()


@pytest.mark.parametrize(
    ("consent", "message"),
    [
        ((), "no bundle makes this import anyone's code"),
        (("--function", "another:draw"), "not for another:draw"),
    ],
)
def test_evaluate_asks_for_consent(
    consent: tuple[str, ...],
    message: str,
    here: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, name = here
    code, text = run(capsys, "evaluate", "bundle", "--out", tmp_path / "e", *consent)
    assert code == 2 and message in text and f"{name}:draw" in text
    assert not mark(folder, name).exists() and not (tmp_path / "e").exists()


def test_an_edited_function_is_not_run(
    here: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = here
    with edited(folder / f"{name}.py"):
        consent = ("--function", f"{name}:draw")
        code, text = run(capsys, "evaluate", "bundle", "--out", tmp_path / "e", *consent)
        assert code == 2 and "is not the one that the bundle was made with" in text
        assert not mark(folder, name).exists()


@contextmanager
def edited(module: Path) -> Iterator[None]:
    before = module.read_text()
    try:
        module.write_text(before.replace("PEOPLE = 4, 5, 200", "PEOPLE = 4, 5, 300"))
        yield
    finally:
        module.write_text(before)


def test_a_missing_module_is_said_to_be_missing(
    here: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, name = here
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=f"no module `{name}`"):
        load_bundle(folder / "bundle").process(f"{name}:draw")


def test_a_bundle_cannot_smuggle_a_function_in(here: tuple[Path, str]) -> None:
    """One that calls itself a GP and is configured as a function; and consent where none is due."""
    folder, name = here
    bundle = load_bundle(folder / "bundle")

    def process(info: BundleInfo, function: str | None) -> None:
        type(bundle)(info, bundle.areas, bundle.weights).process(function)

    true = bundle.info.process
    disguised = true.model_copy(update={"kind": "gp", "kernel": "rbf", "function": None})
    smuggler = bundle.info.model_copy(update={"process": disguised})
    for consent in (None, f"{name}:draw"):
        with pytest.raises(BundleError, match="does not say which file"):
            process(smuggler, consent)
    car = true.model_copy(update={"kind": "car", "config": {"kind": "car", "alpha": 0.5}})
    with pytest.raises(BundleError, match=r"stands for a car, not for a user's function"):
        process(bundle.info.model_copy(update={"process": car}), f"{name}:draw")
    assert name not in sys.modules and not mark(folder, name).exists()


def test_exact_inference_is_refused(
    here: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = here
    model = ("--data", "none.csv", "--formula", "y ~ 1", "--family", "poisson")
    out = ("--out", tmp_path / "fit")
    code, text = run(capsys, "infer", "bundle", *model, *out, "--exact")
    assert code == 2 and f"the function {name}:draw, which is known by its draws alone" in text
    assert not mark(folder, name).exists() and not (tmp_path / "fit").exists()


# -- from a configuration ------------------------------------------------------------------------


@pytest.mark.slow
def test_trains_certifies_reports_and_is_evaluated_again(
    here: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = here
    out = tmp_path / "run"
    code, text = run(capsys, "train", "run.yaml", "--out", out)
    assert code == 0 and "certificate  passed" in text, text
    expected = record(folder, name)
    assert json.loads((out / "environment.json").read_text())["function"] == expected
    report = (out / "report.html").read_text()
    assert "2000 draws of each side" in report and expected["sha256"] in report
    lines = (out / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0]

    command = ("evaluate", out / "bundle", "--out", tmp_path / "e")
    code, text = run(capsys, *command, "--function", f"{name}:draw")
    assert code == 0, text
    assert (tmp_path / "e" / "report.html").is_file()

    sys.modules.pop(name)
    with edited(folder / f"{name}.py"):
        before = contents(out)
        code, text = run(capsys, "train", "run.yaml", "--out", out, "--resume")
        assert code == 2 and "was edited since the run began" in text
        assert contents(out) == before


def test_simulate_records_the_function(
    here: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "draws.npz"
    code, text = run(capsys, "simulate", "run.yaml", "--draws", 30, "--out", out)
    assert code == 0 and "sampler  direct, relative error of the root 0.0e+00" in text
    with np.load(out, allow_pickle=False) as draws:
        assert draws["draws"].shape == (30, 20) and draws["beta"].shape == (30,)
        made = json.loads(str(draws["simulation"]))
    assert made["function"] == record(*here) and made["sampler"] == "direct"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model={type: reference}"], "needs a covariance"),
        (
            ["model={type: PriorCVAE}", "training={}"],
            "error: model.structure: must be `mlp` (got 'gated-linear'), for function is known",
        ),
        (["process.function=nowhere:draw"], "there is no module `nowhere`"),
        (["process.function=os:getcwd"], "os is Python's"),
        (["process.function=draw"], "expected `module:function`"),
        (["areas.source=grid:3x4"], "each of the 12 areas, (12,), and returned (20,)"),
        (["process.hyperparameters={gamma: 1.0}"], "KeyError: 'beta'"),
        (
            ["certificate.posterior={data: simulated, formula: y ~ 1, family: poisson}"],
            "certificate.posterior needs a Gaussian process",
        ),
    ],
)
def test_bad_input_writes_nothing(
    overrides: list[str],
    message: str,
    here: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [flag for override in overrides for flag in ("--set", override)]
    code, text = run(capsys, "train", "run.yaml", "--out", tmp_path / "run", *flags)
    assert code == 2 and message in text and "Traceback" not in text, text
    assert not (tmp_path / "run").exists()


# -- the how-to ----------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    pattern = re.compile(rf"^ *```{language}\n(.+?)^ *```", re.DOTALL | re.MULTILINE)
    found = pattern.findall(HOW_TO.read_text("utf-8"))
    return [textwrap.dedent(block) for block in found]


@pytest.fixture
def as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """A directory with the files of the how-to; yields its commands."""
    monkeypatch.chdir(tmp_path)
    Path("epidemic.py").write_text(blocks("python")[0])
    Path("epidemic.yaml").write_text(blocks("yaml")[0])
    lines = "".join(blocks("sh")).splitlines()
    yield [shlex.split(line.removeprefix("priorvae ")) for line in lines]
    sys.modules.pop("epidemic", None)


@pytest.mark.slow
def test_the_how_to_simulates_an_epidemic(
    as_told: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neighbours fall ill together, the more so the more people travel."""
    assert [command[0] for command in as_told] == ["simulate", "train", "evaluate"]
    code, text = run(capsys, *as_told[0])
    assert code == 0 and "sampler  direct" in text, text
    with np.load("draws.npz", allow_pickle=False) as draws:
        fields, travel = draws["draws"], draws["travel"]
        made = json.loads(str(draws["simulation"]))
    assert fields.shape == (1000, 100) and made["function"]["compiled"]
    i, j = read_areas("builtin:sids2").edges.T

    def together(kept: np.ndarray) -> float:
        return float(np.corrcoef(fields[kept].T)[i, j].mean())

    # Mean correlations of 0.56 and 0.72, each with a standard error of about 0.01.
    assert together(travel < 0.4) + 0.05 < together(travel > 0.8)
    config = load_config("epidemic.yaml")
    process = build_process(config.process, read_areas("builtin:sids2"))
    require_learnable(config.model, config.training, process)


def test_the_how_to_makes_a_generator_from_a_key() -> None:
    import jax

    names = {"jax": jax, "np": np, "key": jax.random.key(3)}
    exec(blocks("python")[1], names)
    first = names["rng"].normal(size=3)
    exec(blocks("python")[1], names)
    np.testing.assert_array_equal(names["rng"].normal(size=3), first)


@pytest.mark.slow
def test_the_how_to_trains_and_evaluates(
    as_told: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """With fewer steps and draws; such a decoder fails, and says so."""
    changes = ["training.steps=150", "certificate.num_draws=200", "training.batch_size=64"]
    flags = [flag for change in changes for flag in ("--set", change)]
    code, text = run(capsys, *as_told[1], *flags)
    assert code == 1 and "certificate  failed" in text, text
    code, text = run(capsys, *as_told[2])
    assert code == 1 and "FAILED" in text, text
