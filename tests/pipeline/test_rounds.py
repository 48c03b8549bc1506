"""Training goes on until the certificate passes, within the budget of rounds."""

import json
from pathlib import Path
from typing import Any

import pytest

from priorvae.config import RunConfig, parse_config
from priorvae.listener import Silent
from priorvae.pipeline import Run, train_run
from priorvae.pipeline.rounds import in_words, round_config
from priorvae.processes import Process, build_process
from tests.maps import lattice

LENGTHSCALE = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}


def config(training: dict[str, Any] | None = None, **changes: Any) -> RunConfig:
    settings = {
        "steps": 10, "conditions_per_step": 2, "learning_rate": 1e-6, "warmup_steps": 2,
        "log_every": 5, "checkpoint_every": 5,
    }  # fmt: skip
    raw = {
        "name": "small", "seed": 1, "areas": {"source": "grid:4x5"},
        "process": {"kind": "gp", "kernel": "matern32", "lengthscale": LENGTHSCALE},
        # Twenty terms for a field of twenty values are too few, and thirty are enough.
        "model": {"type": "PriorCVAE", "hidden": 20, "warm_start_sweeps": 30},
        "training": settings | (training or {}),
        "certificate": {"covariance_error": 0.02, "worst_sd": 0.01, "num_draws": 100},
    }  # fmt: skip
    return parse_config({**raw, **changes}, "config.yaml")


@pytest.fixture
def process() -> Process:
    return build_process(config().process, lattice(4, 5))


def test_what_each_round_has(process: Process) -> None:
    given = config({"rounds": 4})
    plans = [round_config(given, process, number) for number in (1, 2, 3, 4)]
    assert plans[0] == given
    assert [plan.training.steps for plan in plans] == [10, 20, 20, 40]
    assert [plan.model.hidden for plan in plans] == [20, 20, 30, 30]
    assert [plan.model.warm_start_sweeps for plan in plans] == [30, 30, 45, 45]
    variances = [plan.model.likelihood_variance for plan in plans]
    assert variances == pytest.approx([1e-3, 3e-4, 3e-4, 9e-5])
    assert all(plan.certificate == given.certificate for plan in plans)
    assert in_words(plans[0], plans[1]) == (
        "training.steps 20, training.learning_rate 3.33e-07, model.likelihood_variance 0.0003"
    )
    assert in_words(plans[1], plans[2]) == "model.hidden 30, model.warm_start_sweeps 45"


def test_default_widths_grow_from_what_they_are(process: Process) -> None:
    plan = round_config(config(model={"type": "GatedLinear"}), process, 3)
    assert (plan.model.hidden, plan.model.latent_dim) == (75, "auto")
    mlp = {"type": "PriorCVAE", "structure": "mlp", "encoder": "diagonal", "warm_start": "none",
           "latent_dim": 9, "hidden": [10, 20]}  # fmt: skip
    plan = round_config(config({"draws": "random", "batch_size": 8}, model=mlp), process, 3)
    assert (plan.model.hidden, plan.model.latent_dim) == ((15, 30), 14)


def test_a_matrix_without_a_gate_has_no_width(process: Process) -> None:
    given = config(model={"type": "PriorVAE"})
    plan = round_config(given, process, 3)
    assert plan.model.hidden == "auto"
    assert "hidden" not in in_words(given, plan)


class Told(Silent):
    """Remembers the stages, and stops at a step."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.stages: list[str] = []
        self.kill_at = kill_at

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, entry: dict[str, float], steps: int) -> None:
        if entry["step"] == self.kill_at:
            raise KeyboardInterrupt


def steps_logged(out: Path) -> list[int]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


@pytest.mark.slow
def test_a_decoder_too_narrow_is_widened_until_it_passes(tmp_path: Path) -> None:
    told = Told()
    run = train_run(config({"rounds": 4}), out=tmp_path / "run", listener=told)
    assert run.evaluation.certificate.passed
    rounds = run.bundle.info.training.rounds
    assert len(rounds) == 3 and rounds[0].changes == "" and rounds[-1].failed == []
    assert all("Relative error of the covariance" in r.failed[0] for r in rounds[:-1])
    assert run.bundle.info.training.steps == sum(r.steps for r in rounds)
    assert steps_logged(tmp_path / "run") == list(range(5, run.bundle.info.training.steps + 1, 5))
    assert f"round 2 of at most 4, now with {rounds[1].changes}" in told.stages[4]
    assert told.stages[3].startswith("Not certified yet: Relative error of the covariance")
    report = (tmp_path / "run" / "report.html").read_text()
    assert all(found.changes in report and found.failed[0] in report for found in rounds[1:-1])
    # The configuration that stands in the directory is the one that was given.
    assert "hidden: 20" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.slow
def test_the_budget_is_kept_and_the_failure_says_where(tmp_path: Path) -> None:
    run = train_run(config({"rounds": 2}), out=tmp_path / "run")
    assert not run.evaluation.certificate.passed
    assert len(run.bundle.info.training.rounds) == 2
    summary = run.evaluation.certificate.summary()
    assert "Relative error of the covariance" in summary and "lengthscale = " in summary


@pytest.mark.slow
def test_a_run_killed_in_later_rounds_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Step 15 lies in the second round, which goes on from the first; 40 in the third."""
    settings = config({"rounds": 3})
    whole = train_run(settings, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_run(settings, out=tmp_path / "killed", listener=Told(15))
    with pytest.raises(KeyboardInterrupt):
        train_run(settings, out=tmp_path / "killed", listener=Told(40), resume=True)
    resumed = train_run(settings, out=tmp_path / "killed", resume=True)
    assert weights(resumed) == weights(whole)
    assert steps_logged(tmp_path / "killed") == steps_logged(tmp_path / "whole")


def weights(run: Run) -> bytes:
    return (run.directory / "bundle" / "decoder.safetensors").read_bytes()
