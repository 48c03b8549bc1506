"""Leave a fifth of the areas out of training, predict them, and print one table."""

import time
from pathlib import Path

import typer

from priorvae.cli.progress import show_progress
from priorvae.config import load_config
from priorvae.pipeline.unseen import bench_unseen

HEADINGS = (
    "configuration",
    "RMSE",
    "exact RMSE",
    "ratio",
    "95 % coverage",
    "exact coverage",
    "data sets",
    "CPU s",
)


def main(out: Path, configs: list[Path], num_data: int = 400, noise_sd: float = 0.3) -> None:
    """Print a Markdown table with a row for each configuration; runs are kept in OUT."""
    rows = [row(path, out, num_data, noise_sd) for path in configs]
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    print("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def row(path: Path, out: Path, num_data: int, noise_sd: float) -> list[str]:
    """Return the cells of one configuration; seconds are of everything, on all cores."""
    config = load_config(path)
    start = time.process_time()
    with show_progress() as listener:
        found = bench_unseen(
            config,
            out=out / config.name,
            num_data=num_data,
            noise_sd=noise_sd,
            listener=listener,
        )
    return [
        config.name,
        f"{found.rmse:.4f}",
        f"{found.exact_rmse:.4f}",
        f"{found.ratio:.4f} ± {found.ratio_error:.4f}",
        f"{found.coverage:.4f} ± {found.coverage_error:.4f}",
        f"{found.exact_coverage:.4f}",
        f"{found.num_data}",
        f"{time.process_time() - start:.0f}",
    ]


if __name__ == "__main__":
    typer.run(main)
