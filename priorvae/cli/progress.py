"""What a terminal or a log shows while a job runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from priorvae.listener import Listener

__all__ = ["show_progress"]


@contextmanager
def show_progress() -> Iterator[Listener]:
    """Yield a listener: progress bars on a terminal, one line an interval elsewhere."""
    if not sys.stdout.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        bars = _Bars(progress)
        yield bars
        bars.finish()


class _Lines:
    """One line for each stage and interval, for logs."""

    _tenths = 0

    def stage(self, name: str) -> None:
        self._tenths = 0
        typer.echo(name)

    def progress(self, entry: dict[str, float], steps: int) -> None:
        typer.echo(
            f"step {entry['step']:.0f}/{steps}  loss {entry['loss']:.5f}  {entry['seconds']:.1f} s"
        )

    def count(self, done: int, total: int) -> None:
        # A log needs the tenths, not every block.
        if done == total or done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            typer.echo(f"{done}/{total}")


class _Bars:
    """One bar for each stage, for terminals."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str) -> None:
        self.finish()
        self._progress.add_task(name, total=None, detail="")

    def progress(self, entry: dict[str, float], steps: int) -> None:
        step = int(entry["step"])
        self._move(step, steps, f"{step}/{steps}  loss {entry['loss']:.4f}")

    def count(self, done: int, total: int) -> None:
        self._move(done, total, f"{done}/{total}")

    def _move(self, done: int, total: int, detail: str) -> None:
        task = self._progress.tasks[-1].id
        self._progress.update(task, total=total, completed=done, detail=detail)

    def finish(self) -> None:
        """Mark the running stage as done."""
        for task in self._progress.tasks[-1:]:
            total = task.total or 1
            self._progress.update(task.id, total=total, completed=total)
