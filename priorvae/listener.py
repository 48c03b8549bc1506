"""How a long job tells whoever watches what it does."""

from typing import Protocol

__all__ = ["Listener", "Silent"]


class Listener(Protocol):
    """Receives the stages of a job and the progress of its training."""

    def stage(self, name: str) -> None:
        """A stage begins."""
        ...

    def progress(self, entry: dict[str, float], steps: int) -> None:
        """An interval of training is done; `entry` holds its metrics, `steps` is the total."""
        ...

    def count(self, done: int, total: int) -> None:
        """So many things of a stage are done."""
        ...


class Silent:
    """A listener that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def progress(self, entry: dict[str, float], steps: int) -> None:
        """Say nothing."""

    def count(self, done: int, total: int) -> None:
        """Say nothing."""
