"""Tables of the benchmarks: drawn on a terminal, Markdown elsewhere and in files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from priorvae.pipeline import DecoderRow, SeedSummary

__all__ = ["Table", "decoder_tables", "save", "show"]


class Table(NamedTuple):
    """A table as text."""

    heads: tuple[str, ...]
    """One for each column."""
    rows: tuple[tuple[str, ...], ...]
    """The cells."""
    note: str = ""
    """What a reader must know."""

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.heads, ("---",) * len(self.heads), *self.rows]
        text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        return f"{text}\n\n{self.note}\n" if self.note else f"{text}\n"


def show(tables: Sequence[Table]) -> None:
    """Print tables."""
    for table in tables:
        if sys.stdout.isatty():
            _draw(table)
        else:
            typer.echo("\n" + table.markdown())


def save(tables: Sequence[Table], path: Path) -> None:
    """Write tables into a Markdown file."""
    path.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")


def _draw(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as Drawn

    drawn = Drawn(caption=table.note or None, caption_justify="left")
    for position, head in enumerate(table.heads):
        drawn.add_column(head, justify="left" if position < 2 else "right")
    for row in table.rows:
        drawn.add_row(*row)
    Console().print(drawn)


NOTE = (
    "The worst of the hyperparameter values; in brackets, what as many draws of the process itself "
    "give, for figures measured from draws. W2: squared Bures-Wasserstein distance over the trace. "
    "IS: effective fraction of importance weights, decoder to process, of draws of the prior and "
    "of the posterior. CPU time of one process; a gradient is that of "
    "a log density over latents and hyperparameters in float64, rivals' in float32, and the ratio "
    "is to the exact non-centred process, timed in the same run."
)


def decoder_tables(rows: Sequence[DecoderRow], summaries: Sequence[SeedSummary]) -> list[Table]:
    """Return the tables of `priorvae bench decoders`: every decoder, and what seeds change."""
    columns = [column for column in _COLUMNS if any(column.cell(row) for row in rows)]
    heads = tuple(column.head for column in columns)
    cells = tuple(tuple(column.cell(row) for column in columns) for row in rows)
    return [Table(heads, cells, NOTE), *_seed_table(summaries)]


class _Column(NamedTuple):
    head: str
    cell: Callable[[DecoderRow], str]
    """Empty where the row has no such figure; a column of empty cells is left out."""


def _figure(name: str) -> Callable[[DecoderRow], str]:
    def cell(row: DecoderRow) -> str:
        return _with_null(_shown(name, row.figures.get(name)), _shown(name, row.null.get(name)))

    return cell


def _with_null(value: str, null: str) -> str:
    return f"{value} ({null})" if value and null else value


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in ("worst_sd", "sd_ratio", "neighbour_correlation"):
        return f"{abs(value - 1):.2%}"
    if name == "correlation":
        return f"{value:.5f}"
    return f"{value:.3g}"


def _microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e6 * seconds:.3g}"


_COLUMNS = (
    _Column("configuration", lambda row: row.name),
    _Column("type", lambda row: row.type),
    _Column("areas", lambda row: str(row.areas)),
    _Column("certificate", lambda row: "training failed" if row.error else row.certificate or ""),
    _Column("covariance error", _figure("covariance_error")),
    _Column("worst-area sd off by", _figure("worst_sd")),
    _Column("neighbour correlation off by", _figure("neighbour_correlation")),
    _Column("W2", _figure("bures_wasserstein")),
    _Column("IS fraction", _figure("importance_fraction")),
    _Column("MMD p", _figure("mmd_pvalue")),
    _Column("posterior correlation", _figure("correlation")),
    _Column("posterior RMSE", _figure("rmse")),
    _Column("posterior sd off by", _figure("sd_ratio")),
    _Column("coverage", _figure("coverage")),
    _Column("shift of hyperparameters", _figure("hyper_shift")),
    _Column("posterior IS fraction", _figure("posterior_fraction")),
    _Column(
        "training, CPU s", lambda row: "" if row.cpu_seconds is None else f"{row.cpu_seconds:.0f}"
    ),
    _Column("steps", lambda row: "" if row.steps is None else str(row.steps)),
    _Column("µs/gradient", lambda row: _microseconds(row.gradient.get("float64"))),
    _Column("in float32", lambda row: _microseconds(row.gradient.get("float32"))),
    _Column("exact µs/gradient", lambda row: _microseconds(row.exact_gradient)),
    _Column("exact/decoder", lambda row: "" if row.ratio is None else f"{row.ratio:.3g}"),
)

_SEEDS = {
    "covariance_error": "covariance error",
    "worst_sd": "worst-area sd off by",
    "bures_wasserstein": "W2",
    "importance_fraction": "IS fraction",
    "rmse": "posterior RMSE",
    "hyper_shift": "shift of hyperparameters",
    "posterior_fraction": "posterior IS fraction",
    "cpu_seconds": "training, CPU s",
}


def _seed_table(summaries: Sequence[SeedSummary]) -> Iterator[Table]:
    if not summaries:
        return
    heads = ("configuration", "type", "areas", "seeds", "failed", "not certified")
    names = [name for name in _SEEDS if any(name in found.median for found in summaries)]
    rows = tuple(_seed_row(summary, names) for summary in summaries)
    columns = (_SEEDS[name] for name in names)
    yield Table((*heads, *columns), rows, "Median over the seeds, and the worst of them.")


def _seed_row(found: SeedSummary, names: Sequence[str]) -> tuple[str, ...]:
    counts = (found.areas, found.seeds, found.failed, found.uncertified)
    figures = (_median_and_worst(found, name) for name in names)
    return (found.name, found.type, *map(str, counts), *figures)


def _median_and_worst(summary: SeedSummary, name: str) -> str:
    found = [_shown(name, figures.get(name)) for figures in (summary.median, summary.worst)]
    return " / ".join(found) if all(found) else ""
