"""`type: auto` from a configuration to a run directory, and back from there."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from priorvae.areas import read_areas
from priorvae.bundles import BundleInfo, load_bundle
from priorvae.bundles.card import card
from priorvae.cli.main import build_app
from priorvae.config import (
    AutoConfig,
    RegressionConfig,
    RunConfig,
    VAEConfig,
    dump_config,
    load_config,
    parse_config,
)
from priorvae.errors import ConfigError, InputError
from priorvae.listener import Silent
from priorvae.pipeline import explain_choice, train_run
from priorvae.pipeline.choosing import resolve_choice
from priorvae.processes import build_process
from tests.samples import reference_bundle

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
SHORT = {"steps": 120, "log_every": 20, "checkpoint_every": 40}


def auto(training: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    raw: dict[str, Any] = {
        "name": "small",
        "seed": 3,
        "areas": {"source": "grid:3x5"},
        "process": {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE},
        "model": {"type": "auto"},
        **changes,
    }
    return parse_config(raw | ({} if training is None else {"training": training}), "small.yaml")


class Impatient(Silent):
    """Stops a run, as Ctrl-C does, when so many steps are done."""

    def __init__(self, step: int) -> None:
        self._step = step

    def progress(self, entry: dict[str, float], steps: int) -> None:
        if entry["step"] == self._step:
            raise KeyboardInterrupt


def resolved(config: RunConfig, held: Path | None = None) -> RunConfig:
    areas = read_areas(**config.areas.model_dump())
    return resolve_choice(config, build_process(config.process, areas), held)


def test_the_explanation_needs_no_training() -> None:
    choice = explain_choice(auto())
    text = choice.record().text()
    assert text.startswith("Chosen: GatedLinear, 15 latents\n")
    assert "Better for this map:\n- exact Gaussian process: " in text
    assert "On this machine a covariance and its Cholesky factor take" in text


def test_what_is_chosen_is_a_configuration_that_is_read_back(tmp_path: Path) -> None:
    found = resolved(auto())
    assert isinstance(found.model, RegressionConfig) and found.choice is not None
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(found), encoding="utf-8")
    assert load_config(path) == found
    # Of what is chosen already nothing is chosen again, not even what a clock says.
    assert resolved(found) == found
    assert resolved(auto(), held=path) == found


def test_the_training_that_was_given_is_kept() -> None:
    found = resolved(auto(SHORT))
    assert found.choice is not None and found.choice.given == SHORT
    assert {key: getattr(found.training, key) for key in SHORT} == SHORT
    assert found.training.learning_rate == resolved(auto()).training.learning_rate


def test_a_run_is_not_gone_on_with_by_another_training(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(resolved(auto(SHORT))), encoding="utf-8")
    assert resolved(auto({**SHORT, "steps": 160}), held=path).training.steps == 160


def test_a_training_that_does_not_go_with_the_choice_is_refused() -> None:
    risk = {
        "kind": "aggregated",
        "of": {"kind": "gp", "kernel": "rbf", "lengthscale": LENGTHSCALE},
        "cells": 40,
        "nonlinearity": "exp",
        "amplitude": {"distribution": "uniform", "low": 0.1, "high": 1.0},
    }
    assert resolved(auto(process=risk)).training.draws == "random"
    with pytest.raises(ConfigError, match=r"your `training` does not go with it.*batch size"):
        resolved(auto({"draws": "columns"}, process=risk))


def test_auto_takes_no_other_keys() -> None:
    assert isinstance(auto().model, AutoConfig)
    with pytest.raises(ConfigError, match=r"model\.hidden: unknown key"):
        auto(model={"type": "auto", "hidden": 3})


def test_a_map_too_large_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dense matrices"):
        train_run(auto(areas={"source": "grid:70x70"}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_bundle_keeps_the_choice_and_its_card_tells_it() -> None:
    found = resolved(auto())
    process = build_process(found.process, read_areas(**found.areas.model_dump()))
    bundle = reference_bundle(process, found.process, choice=found.choice)  # type: ignore[arg-type]
    assert BundleInfo.model_validate_json(bundle.info.model_dump_json()).choice == found.choice
    assert found.choice is not None and found.choice.text() in card(bundle)
    assert "Why this decoder" not in card(reference_bundle(process))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_says_what_it_chose_and_leaves_it_everywhere(tmp_path: Path) -> None:
    """On a graph, where nothing is trained."""
    leroux = {"kind": "leroux", "rho": {"distribution": "uniform", "low": 0.0, "high": 0.9}}
    path, out = tmp_path / "auto.yaml", tmp_path / "run"
    raw = {
        "name": "graph",
        "seed": 3,
        "areas": {"source": "grid:3x5"},
        "process": leroux,
        "model": {"type": "auto"},
        "certificate": {"num_draws": 100},
    }
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    result = CliRunner().invoke(build_app(), ["train", str(path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    said = "Chosen: reference (the eigenbasis), 15 latents, no training"
    assert result.output.index(said) < result.output.index("certificate  passed")
    assert "A neural decoder of this prior on one graph could only approximate it" in result.output

    choice = load_config(out / "config.yaml").choice
    assert choice is not None and choice.text() in (out / "bundle" / "README.md").read_text("utf-8")
    assert load_bundle(out / "bundle").info.choice == choice
    assert json.loads((out / "status.json").read_text())["chosen"] == choice.headline
    report = (out / "report.html").read_text("utf-8")
    assert report.index("Why this decoder") < report.index("<h2>Figures</h2>")
    assert "gains nothing here" in report

    # Resuming what is done changes nothing, and does not choose anew.
    again = CliRunner().invoke(build_app(), ["train", str(path), "--out", str(out), "--resume"])
    assert again.exit_code == 0, again.output


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["matern32", "rbf"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(kernel: str, tmp_path: Path) -> None:
    lengthscale = {**LENGTHSCALE, "low": 0.2 if kernel == "matern32" else 0.8}
    process = {"kind": "gp", "kernel": kernel, "lengthscale": lengthscale}
    config = auto(
        {**SHORT, "steps": 160, "rounds": 1},
        areas={"source": "grid:4x5"},
        process=process,
        certificate={"num_draws": 100},
    )
    whole = train_run(config, out=tmp_path / "whole")
    assert whole.evaluation.certificate.passed, whole.evaluation.certificate.summary()

    parts = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        train_run(config, out=parts, listener=Impatient(100))
    held = (parts / "config.yaml").read_bytes()
    finished = train_run(config, out=parts, resume=True)
    assert (parts / "config.yaml").read_bytes() == held
    model = load_config(parts / "config.yaml").model
    expected = {"matern32": RegressionConfig, "rbf": VAEConfig}[kernel]
    assert isinstance(model, expected) and finished.bundle.info.type == model.type
    for name in ("decoder.safetensors", "golden.npz"):
        same = (tmp_path / "whole" / "bundle" / name).read_bytes()
        assert (parts / "bundle" / name).read_bytes() == same
    # Its own resolved configuration names the same run.
    train_run(load_config(parts / "config.yaml"), out=parts, resume=True)
