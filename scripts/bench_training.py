"""Train on every device at hand, beside the least time a step could take; print one table."""

from pathlib import Path
from typing import Annotated

import jax
import typer

from priorvae.cli.progress import show_progress
from priorvae.cli.tables import Table
from priorvae.config import RunConfig, load_config
from priorvae.errors import RunError
from priorvae.listener import Listener
from priorvae.pipeline import map_folder, variants
from priorvae.pipeline.floor import devices_at_hand, num_cores
from priorvae.pipeline.throughput import TrainingTiming, seconds_to_certificate, time_training

HEADINGS = (
    "configuration",
    "areas",
    "device",
    "draws a step",
    "ms a step",
    "draws/s",
    "GFLOP a step",
    "MB a step",
    "device's GFLOP/s",
    "device's GB/s",
    "floor, ms a step",
    "floor set by",
    "share of floor reached",
    "s to certificate",
)

Sizes = Annotated[
    list[int] | None,
    typer.Option(min=4, help="Also on a made-up map of so many areas; repeatable."),
]
Seconds = Annotated[float, typer.Option(min=0.01, help="Seconds each figure is measured over.")]
Certify = Annotated[bool, typer.Option("--certify", help="Train until certified, too (minutes).")]
Largest = Annotated[int, typer.Option(help="Areas up to which --certify trains.")]
Platform = Annotated[str | None, typer.Option("--platform", help="Only on cpu, or on gpu.")]


def main(
    out: Path,
    configs: list[Path],
    areas: Sizes = None,
    seconds: Seconds = 3.0,
    certify: Certify = False,
    largest: Largest = 1000,
    platform: Platform = None,
) -> None:
    """Print a Markdown table, a row for each configuration, map and device; runs go to OUT."""
    maps = [map_folder(number, out / "maps") for number in areas or ()]
    devices = [device for device in devices_at_hand() if platform in (None, device.platform)]
    rows = []
    with show_progress() as listener:
        for config in variants([load_config(path) for path in configs], maps=maps):
            for device in devices:
                listener.stage(f"{config.name} on {named(device)}")
                limit = largest if certify else 0
                rows.append(row(config, device, seconds, limit, out, listener))
                jax.clear_caches()  # of programs that the next row cannot use
    print("\n" + Table(HEADINGS, tuple(rows)).markdown())


def row(
    config: RunConfig, device: jax.Device, seconds: float, limit: int, out: Path, listener: Listener
) -> tuple[str, ...]:
    """Return the cells of a configuration on a device, or why it cannot run there."""
    try:
        timing = time_training(config, device, seconds=seconds)
    except RunError as error:
        return (config.name, "", named(device), str(error), *[""] * (len(HEADINGS) - 4))
    last = ""
    if timing.areas <= limit:
        last = verdict(config, device, out / f"{config.name}-{device.platform}", listener)
    return (config.name, f"{timing.areas}", named(device), *figures(timing), last)


def figures(timing: TrainingTiming) -> tuple[str, ...]:
    """Return the cells of the step and its floor; `unknown` where XLA does not say."""
    work, peaks = timing.work, timing.peaks
    return (
        f"{timing.batch_size}",
        f"{1e3 * timing.seconds:.4g}",
        f"{timing.draws_per_second:.4g}",
        scaled(work.flops, 1e-9),
        scaled(work.bytes, 1e-6),
        scaled(peaks.flops, 1e-9),
        scaled(peaks.bandwidth, 1e-9),
        scaled(timing.floor, 1e3),
        work.bound(peaks),
        "unknown" if timing.share is None else f"{timing.share:.0%}",
    )


def scaled(value: float | None, unit: float) -> str:
    """Return a figure in a unit of its column."""
    return "unknown" if value is None else f"{value * unit:.4g}"


def verdict(config: RunConfig, device: jax.Device, out: Path, listener: Listener) -> str:
    """Return the seconds to the certificate, or that it failed and after how many."""
    try:
        found = seconds_to_certificate(config, device, out, listener)
    except RunError as error:
        return f"no training: {error}"
    return f"{found.seconds:.0f}" if found.passed else f"failed after {found.seconds:.0f}"


def named(device: jax.Device) -> str:
    """Name a device, and a CPU's cores."""
    return f"CPU, cores: {num_cores()}" if device.platform == "cpu" else str(device.device_kind)


if __name__ == "__main__":
    typer.run(main)
