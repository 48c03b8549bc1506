"""Train every configuration, certified or not, and print one table of their certificates."""

import sys
from pathlib import Path

import typer

from priorvae.cli.progress import show_progress
from priorvae.config import RunConfig, load_config
from priorvae.errors import InputError
from priorvae.pipeline import Run, train_run

COLUMNS = {
    "covariance_error": "covariance error",
    "worst_sd": "worst sd",
    "neighbour_correlation": "neighbour correlation",
    "bures_wasserstein": "W2",
    "mmd_pvalue": "MMD p",
    "correlation": "posterior correlation",
    "rmse": "posterior RMSE",
}


def main(out: Path, configs: list[Path]) -> None:
    """Print a Markdown table with a row for each configuration; runs are kept in OUT."""
    rows = [row(config, run(config, out / config.name)) for config in map(load_config, configs)]
    headings = ["configuration", "certificate", *COLUMNS.values(), "training, s"]
    print("| " + " | ".join(headings) + " |\n|" + "---|" * len(headings))
    print("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def run(config: RunConfig, directory: Path) -> Run:
    """Train a configuration, or go on with the run that is there."""
    with show_progress() as listener:
        resume = (directory / "config.yaml").exists()
        return train_run(config, out=directory, resume=resume, listener=listener)


def row(config: RunConfig, result: Run) -> list[str]:
    """Return the cells of one configuration."""
    certificate = result.evaluation.certificate
    figures = {figure.name: f"{figure.value:.4g}" for figure in certificate.figures}
    seconds = f"{result.bundle.info.training.seconds:.0f}"
    return [config.name, certificate.status, *(figures.get(k, "") for k in COLUMNS), seconds]


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(f"error: {error}")
