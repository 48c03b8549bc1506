"""`priorvae bench`: this package and its rivals, measured side by side in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorvae.cli.progress import show_progress

if TYPE_CHECKING:
    from priorvae.pipeline import DecoderRow, SeedSummary, SimulationTiming, TrainingShare

__all__ = ["app"]

app = typer.Typer(name="bench", help="Measure, side by side in one run.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure, side by side in one run."""


@app.command()
def simulate(
    areas: Annotated[
        list[int] | None, typer.Option(min=4, help="Number of areas; repeatable [159, 500].")
    ] = None,
    process: Annotated[
        list[str] | None, typer.Option(help="gp, 'gp on a grid', car, leroux or bym2; repeatable.")
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="YAML configuration: time simulation in its training step.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="CPU seconds that each figure is measured over.")
    ] = 3.0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write; must not exist.")] = None,
) -> None:
    """Draws per CPU second, against a fresh factorisation for each draw."""
    import json

    from priorvae.config import load_config
    from priorvae.errors import InputError
    from priorvae.pipeline import bench_simulate, bench_training, cost_exponents
    from priorvae.pipeline.benchmarks import CASES

    if out is not None and out.exists():
        raise InputError(f"{out}: exists, and nothing is overwritten; choose another --out")
    if unknown := sorted(set(process or ()) - set(CASES)):
        raise InputError(f"--process {unknown[0]!r}: expected one of {', '.join(CASES)}")
    settings = None if training is None else load_config(training)
    with show_progress() as listener:
        timings = bench_simulate(
            areas or (159, 500), processes=process or CASES, seconds=seconds, listener=listener
        )
        share = None if settings is None else bench_training(settings, seconds=seconds)
    exponents = cost_exponents(timings)
    _print(timings, exponents, share)
    if out is not None:
        record: dict[str, Any] = {
            "timings": [{**t._asdict(), "ratio": t.ratio} for t in timings],
            "exponents": exponents,
        }
        if share is not None:
            record["training"] = {**share._asdict(), "share": share.share}
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@app.command()
def decoders(
    configs: Annotated[list[Path], typer.Argument(help="YAML configurations.")],
    rival: Annotated[
        list[Path] | None,
        typer.Option(help="Draws that scripts/bench_rivals.py wrote; repeatable."),
    ] = None,
    areas: Annotated[
        list[int] | None,
        typer.Option(min=4, help="Also on a made-up map of so many areas; repeatable."),
    ] = None,
    map: Annotated[
        list[str] | None, typer.Option(help="Also on this map: a file, builtin:NAME; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, from so many seeds.")] = 1,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Compare posteriors too, where they are asked for.")
    ] = False,
    weighted: Annotated[
        bool,
        typer.Option(
            "--weighted", help="Compare all posteriors, of simulated counts, by importance weights."
        ),
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="CPU seconds that each gradient is measured over.")
    ] = 1.5,
    out: Annotated[
        Path, typer.Option(help="Directory of the runs and tables; runs done are not done again.")
    ] = Path("runs/decoders"),
) -> None:
    """Fidelity, training and gradient cost of decoders, rivals' among them, in one table."""
    from priorvae.cli.tables import decoder_tables, save, show
    from priorvae.config import load_config
    from priorvae.pipeline import bench_decoders, map_folder, over_seeds, read_rival, variants

    rivals = [read_rival(path) for path in rival or ()]
    maps = [*(map_folder(number, out / "maps") for number in areas or ()), *(map or ())]
    wanted = variants(
        [load_config(p) for p in configs], maps=maps, seeds=seeds, posterior=posterior
    )
    with show_progress() as listener:
        rows = bench_decoders(
            wanted, out=out, rivals=rivals, weighted=weighted, seconds=seconds, listener=listener
        )
    summaries = over_seeds(rows) if seeds > 1 else []
    tables = decoder_tables(rows, summaries)
    show(tables)
    save(tables, out / "table.md")
    _save_decoders(rows, summaries, out / "table.json")


@app.command()
def problem(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    out: Annotated[Path, typer.Option(help="File to write, .npz; must not exist.")],
    areas: Annotated[
        int | None, typer.Option(min=4, help="On a made-up map of so many areas.")
    ] = None,
) -> None:
    """Write what another package needs to train a decoder of a configuration's prior."""
    from priorvae.config import load_config
    from priorvae.pipeline import map_folder, variants, write_problem

    maps = [] if areas is None else [map_folder(areas, out.parent / "maps")]
    write_problem(variants([load_config(config)], maps=maps)[-1], out)


def _save_decoders(
    rows: Sequence[DecoderRow], summaries: Sequence[SeedSummary], path: Path
) -> None:
    import json
    from dataclasses import asdict

    from priorvae.environment import environment

    record = {
        "environment": environment(),
        "decoders": [{**asdict(row), "ratio": row.ratio} for row in rows],
        "seeds": [summary._asdict() for summary in summaries],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _print(
    timings: Sequence[SimulationTiming], exponents: Mapping[str, float], share: TrainingShare | None
) -> None:
    """Print the figures as Markdown tables."""
    heads = ("process", "areas", "sampler", "error", "set-up, s", "draws/s", "rival, draws/s")
    typer.echo(f"| {' | '.join(heads)} | ratio |\n{'|---' * (len(heads) + 1)}|")
    for t in timings:
        own = f"{t.sampler} | {t.error:.0e} | {t.setup_seconds:.1f} | {t.draws_per_second:.4g}"
        rival, ratio = "none", ""
        if t.rival is not None:
            rival, ratio = f"{t.rival}, {t.rival_per_second:.4g}", f"{t.ratio:.3g}"
        typer.echo(f"| {t.process} | {t.areas} | {own} | {rival} | {ratio} |")
    if exponents:
        typer.echo("\n| seconds a draw | grow with n to the power |\n|---|---|")
    for name, power in exponents.items():
        typer.echo(f"| {name} | {power:.2f} |")
    if share is not None:
        typer.echo(
            f"\nof a training step's {1e3 * share.step_seconds:.3g} ms, simulation takes "
            f"{1e3 * share.simulate_seconds:.3g} ms ({share.share:.0%})"
        )
