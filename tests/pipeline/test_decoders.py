"""The benchmark of decoders: trained once, counted in CPU seconds, failures kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from priorvae.areas import read_areas
from priorvae.config import RunConfig, dump_config, parse_config
from priorvae.errors import InputError
from priorvae.listener import Silent
from priorvae.pipeline import (
    DecoderRow,
    bench_decoders,
    map_folder,
    over_seeds,
    variants,
)
from priorvae.pipeline.benchmarks import triangulated


def configured(name: str = "small", **training: Any) -> RunConfig:
    lengthscale = {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"}
    raw: dict[str, Any] = {
        "name": name,
        "seed": 3,
        "areas": {"source": "grid:4x5"},
        "process": {"kind": "gp", "kernel": "matern32", "lengthscale": lengthscale},
        "model": {"type": "GatedLinear", "warm_start": "none"},
        "training": {
            "steps": 40, "conditions_per_step": 4, "learning_rate": 1e-3, "warmup_steps": 5,
            "log_every": 10, "checkpoint_every": 10, "rounds": 1, **training,
        },
        "certificate": {"num_draws": 100},
    }  # fmt: skip
    return parse_config(raw, "test")


class Killed(Silent):
    """Cuts a run short at its second interval."""

    def progress(self, entry: dict[str, float], steps: int) -> None:
        if entry["step"] == 20:
            raise KeyboardInterrupt


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*.json*")}


def cost(out: Path) -> float:
    return json.loads((out / "small.cost.json").read_text())["cpu_seconds"]


@pytest.mark.slow
def test_trains_judges_and_times_once_even_if_cut_short(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench_decoders([configured()], out=tmp_path, listener=Killed())
    first = cost(tmp_path)
    (row,) = bench_decoders([configured()], out=tmp_path, seconds=0.05)
    assert row.cpu_seconds == cost(tmp_path) and 0.1 < first < cost(tmp_path) < 60
    assert (row.name, row.type, row.map, row.areas) == ("small", "GatedLinear", "grid:4x5", 20)
    assert (row.seed, row.steps, row.error, row.null) == (3, 40, None, {})
    evaluation = json.loads((tmp_path / "small" / "bundle" / "evaluation.json").read_text())
    errors = [point["covariance_error"] for point in evaluation["prior"]["points"]]
    assert row.figures["covariance_error"] == max(errors)
    assert row.certificate == evaluation["certificate"]["status"]
    assert row.exact_gradient is not None
    assert row.ratio == row.exact_gradient / row.gradient["float64"]
    before = files(tmp_path)
    (again,) = bench_decoders([configured()], out=tmp_path, seconds=0.05)
    assert files(tmp_path) == before
    assert (again.figures, again.cpu_seconds) == (row.figures, row.cpu_seconds)
    (weighed,) = bench_decoders([configured()], out=tmp_path, weighted=True, seconds=0.05)
    kept = json.loads((tmp_path / "small.posterior.json").read_text())
    assert weighed.figures == row.figures | kept
    assert 0 < kept["posterior_fraction"] <= 1 and kept["correlation"] <= 1


@pytest.mark.slow
def test_a_training_that_fails_is_a_result(tmp_path: Path) -> None:
    broken = configured(learning_rate=1e30, warmup_steps=0, clip_norm=1e30)
    (row,) = bench_decoders([broken], out=tmp_path, seconds=0.05)
    assert row.error is not None and "loss is not finite" in row.error
    assert row.figures == {} and row.certificate is None and row.cpu_seconds == cost(tmp_path)
    before = files(tmp_path)
    (again,) = bench_decoders([broken], out=tmp_path, seconds=0.05)
    assert again == row and files(tmp_path) == before


def test_a_run_whose_cost_is_not_known_is_refused(tmp_path: Path) -> None:
    config = configured()
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.yaml").write_text(dump_config(config))
    with pytest.raises(InputError, match="CPU seconds are not known"):
        bench_decoders([config], out=tmp_path, seconds=0.05)


def test_a_mistake_in_the_last_configuration_shows_before_the_first_is_trained(
    tmp_path: Path,
) -> None:
    broken = configured("broken").model_copy(
        update={"areas": configured().areas.model_copy(update={"source": "grid:1x1"})}
    )
    with pytest.raises(InputError, match="grid:1x1"):
        bench_decoders([configured(), broken], out=tmp_path, seconds=0.05)
    assert not any(tmp_path.iterdir())


def test_variants_say_what_differs(tmp_path: Path) -> None:
    folder = map_folder(30, tmp_path)
    found = variants([configured()], maps=[folder, "builtin:sids2"], seeds=2)
    assert [(c.name, c.seed) for c in found] == [
        ("small", 3), ("small-seed4", 4),
        ("small-triangulated30", 3), ("small-triangulated30-seed4", 4),
        ("small-builtin-sids2", 3), ("small-builtin-sids2-seed4", 4),
    ]  # fmt: skip
    assert found[2].areas.source == folder and found[4].areas.source == "builtin:sids2"
    read, made = read_areas(folder), triangulated(30)
    assert read.fingerprint() == made.fingerprint()
    assert map_folder(30, tmp_path) == folder


def test_posteriors_are_left_out_unless_asked_for() -> None:
    raw = configured().model_dump(mode="json")
    raw["certificate"]["posterior"] = {"data": "simulated", "formula": "", "family": "poisson"}
    config = parse_config(raw, "test")
    assert variants([config])[0].certificate.posterior is None
    own, other = variants([config], maps=["builtin:sids2"], posterior=True)
    assert own.certificate.posterior is not None and other.certificate.posterior is None


def test_seeds_are_counted_and_summed_up() -> None:
    def row(seed: int, error: float | None, sd: float = 1.0, status: str = "passed") -> DecoderRow:
        name = "a" if seed == 1 else f"a-seed{seed}"
        known: dict[str, Any] = {"name": name, "type": "T", "map": "m", "areas": 9, "seed": seed}
        if error is None:
            return DecoderRow(**known, error="diverged")
        figures = {"covariance_error": error, "worst_sd": sd, "importance_fraction": 1 - error}
        return DecoderRow(**known, figures=figures, certificate=status, cpu_seconds=10.0 * seed)

    rows = [row(1, 0.1, 1.01), row(2, None), row(3, 0.3, 0.95, "failed"), row(4, 0.2, 1.04)]
    other = DecoderRow("b", "T", "m", 9, 1, figures={"covariance_error": 0.5}, certificate="passed")
    summary, second = over_seeds([*rows, other])
    assert summary[:6] == ("a", "T", 9, 4, 1, 1)
    assert summary.median == {
        "covariance_error": pytest.approx(0.2),
        "worst_sd": pytest.approx(1.01),
        "importance_fraction": pytest.approx(0.8),
        "cpu_seconds": 30,
    }
    assert summary.worst == {
        "covariance_error": 0.3, "worst_sd": 0.95, "importance_fraction": 0.7, "cpu_seconds": 40,
    }  # fmt: skip
    assert (second.name, second.seeds, second.failed) == ("b", 1, 0)
