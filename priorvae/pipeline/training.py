"""The main job: from a configuration to a run directory with a certified bundle."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorvae.areas import read_areas
from priorvae.bundles import Bundle, load_bundle, write_bundle
from priorvae.config import ChoiceConfig, RunConfig, dump_config, load_config
from priorvae.environment import environment, shown_environment
from priorvae.errors import InputError
from priorvae.evaluation.calibration import require_continuous
from priorvae.evaluation.comparison import observed_data, require_comparable
from priorvae.evaluation.document import Evaluation, from_json, to_json
from priorvae.evaluation.report import write_report
from priorvae.listener import Listener, Silent
from priorvae.objectives import require_learnable
from priorvae.pipeline.choosing import resolve_choice
from priorvae.pipeline.learning import learn
from priorvae.processes import Process, build_process
from priorvae.processes.function import FunctionProcess

__all__ = ["Run", "train_run"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: The run directory.
        bundle: The bundle inside, as read back.
        evaluation: Its evaluation.
    """

    directory: Path
    bundle: Bundle
    evaluation: Evaluation


def train_run(
    config: RunConfig,
    *,
    out: Path,
    resume: bool = False,
    listener: Listener | None = None,
    explain: Callable[[ChoiceConfig], None] | None = None,
) -> Run:
    """Train, evaluate and write the bundle a configuration describes.

    Args:
        config: The validated configuration.
        out: Run directory: new or empty, or that of the run to resume.
        resume: Go on from the last checkpoint of the run in `out`.
        listener: Told about stages and progress.
        explain: Told what `type: auto` chose and why, before anything is trained.

    Raises:
        InputError: The map, the process or the certificate's data cannot be used, or `out` holds
            another run. Nothing is written then.
        RunError: Training failed.
    """
    listener = listener or Silent()
    listener.stage("Reading the map")
    areas = read_areas(**config.areas.model_dump())
    process = build_process(config.process, areas)
    config = resolve_choice(config, process, out / "config.yaml" if resume else None)
    if explain is not None and config.choice is not None:
        explain(config.choice)
    require_learnable(config.model, config.training, process)
    if config.certificate.posterior is not None:
        require_comparable(process)
        # Data that cannot be used are better refused before training than after it.
        observed_data(process, config.certificate.posterior)
    if config.certificate.calibration is not None:
        require_continuous(process)
    _open_directory(out, config, process, resume)
    if _status(out).get("status") == "done":
        return _finished(out)
    try:
        run = _run(config, process, out, listener)
    except BaseException as error:
        _write_status(out, "failed", error=f"{type(error).__name__}: {error}")
        raise
    return run


def _run(config: RunConfig, process: Process, out: Path, listener: Listener) -> Run:
    chosen = {} if config.choice is None else {"chosen": config.choice.headline}
    _write_status(out, "running", **chosen)
    learnt = learn(config, process, out, listener)
    listener.stage("Writing the bundle and the report")
    # A run killed between writing the bundle and saying so left one that is made anew here.
    shutil.rmtree(out / "bundle", ignore_errors=True)
    evaluation = learnt.evaluation
    write_bundle(learnt.bundle, out / "bundle", evaluation=to_json(evaluation))
    bundle = load_bundle(out / "bundle")
    write_report(
        out / "report.html",
        evaluation=evaluation,
        bundle=bundle,
        process=process,
        areas=process.areas,
        metrics_path=out / "metrics.jsonl",
        environment=shown_environment(),
    )
    verdict = evaluation.certificate.status
    _write_status(out, "done", best_step=learnt.best_step, certificate=verdict, **chosen)
    return Run(out, bundle, evaluation)


def _open_directory(out: Path, config: RunConfig, process: Process, resume: bool) -> None:
    """Start a run directory, or check that the one to resume is of the same configuration."""
    held = out / "config.yaml"
    if resume:
        if not held.is_file():
            raise InputError(f"{out}: nothing to resume: no config.yaml in it; leave out --resume")
        if load_config(held) != config:
            raise InputError(
                f"{out}: holds a run of another configuration ({_difference(held, config)}); "
                "resume it with its own, or choose another --out"
            )
        _check_code(out, process)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: exists and is not empty, and nothing is overwritten; choose another --out, or "
            "go on with the run in it by --resume"
        )
    out.mkdir(parents=True, exist_ok=True)
    facts = environment() | _code(process)
    _write(out / "environment.json", json.dumps(facts, indent=1) + "\n")
    _write(held, dump_config(config))


def _code(process: Process) -> dict[str, Any]:
    """Say which code of the user's is the process, where some is."""
    return {"function": process.record} if isinstance(process, FunctionProcess) else {}


def _check_code(out: Path, process: Process) -> None:
    """Refuse to go on with another simulator than the run began with."""
    record = _code(process).get("function", {})
    facts = out / "environment.json"
    held = json.loads(facts.read_text("utf-8")).get("function", {}) if facts.exists() else record
    if held.get("sha256") != record.get("sha256"):
        raise InputError(
            f"{out}: the file of process.function was edited since the run began (sha256 "
            f"{held.get('sha256', 'none')[:12]}..., now {record.get('sha256', 'none')[:12]}...); "
            "restore it, or start anew with another --out"
        )


def _difference(held: Path, config: RunConfig) -> str:
    old = dump_config(load_config(held)).splitlines()
    new = dump_config(config).splitlines()
    changed = [line.strip() for line in new if line not in old]
    return "changed: " + ", ".join(changed[:3]) if changed else "keys were removed"


def _finished(out: Path) -> Run:
    bundle = load_bundle(out / "bundle")
    return Run(out, bundle, from_json((out / "bundle" / "evaluation.json").read_text("utf-8")))


def _status(out: Path) -> dict[str, Any]:
    path = out / "status.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _write_status(out: Path, status: str, **more: Any) -> None:
    _write(out / "status.json", json.dumps({"status": status, **more}) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a small file whole, so that a kill leaves the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
