"""CPU seconds of a training, kept in a file beside its run directory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import final

from priorvae.listener import Listener

__all__ = ["Cost"]

_AFTER_TRAINING = ("Evaluating", "Writing")
"""How the stages begin that are no part of a training."""


@final
class Cost:
    """A listener that counts the CPU seconds of a training, over all its resumptions.

    It counts while it is entered, but not in the stages that follow training. CPU seconds are those
    of this process, so that other work on the machine does not count.

    Args:
        path: The file.
        listener: Told whatever this is told.
        resume: Whether to go on from the count in the file, or start anew.

    Attributes:
        known: Whether there was a count to go on from.
        seconds: The count.
        done: Whether the run is done.
        error: Why the training failed, where it did.
    """

    def __init__(self, path: Path, listener: Listener, resume: bool) -> None:
        self._path, self._listener = path, listener
        self.known = resume and path.exists()
        record = json.loads(path.read_text("utf-8")) if self.known else {}
        self.seconds: float = record.get("cpu_seconds", 0.0)
        self.done: bool = record.get("done", False)
        self.error: str | None = record.get("error")
        self._since: float | None = None

    def __enter__(self) -> Cost:
        self._since = time.process_time()
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        self._count()
        self._since = None

    def stage(self, name: str) -> None:
        """Stop the clock where training ends, and start it where it goes on."""
        self._count()
        self._since = None if name.startswith(_AFTER_TRAINING) else time.process_time()
        self._listener.stage(name)

    def progress(self, entry: dict[str, float], steps: int) -> None:
        """Keep the count, for a run that is cut short."""
        self._count()
        self._listener.progress(entry, steps)

    def count(self, done: int, total: int) -> None:
        """Pass on."""
        self._listener.count(done, total)

    def end(self, error: str | None = None) -> None:
        """Keep that the run is done, or why its training failed."""
        self.done, self.error = True, error
        self._write()

    def _count(self) -> None:
        if self._since is not None:
            now = time.process_time()
            self.seconds, self._since = self.seconds + now - self._since, now
            self._write()

    def _write(self) -> None:
        """Write the file whole, so that a kill leaves the old count or the new one."""
        record = {"cpu_seconds": self.seconds, "done": self.done, "error": self.error}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(record) + "\n", encoding="utf-8")
        partial.replace(self._path)
