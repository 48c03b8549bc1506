"""Checkpoints, with everything about Orbax behind one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

__all__ = ["Checkpoints"]


class Checkpoints:
    """The latest states of one run, each written atomically.

    Args:
        directory: Where the checkpoints go; made if it is missing.
        keep: How many of the latest to keep.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        self._manager = ocp.CheckpointManager(
            directory.resolve(),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=preservation_policy.LatestN(keep),
                # A state of a few MiB: writing it before going on is cheaper than a thread.
                enable_async_checkpointing=False,
            ),
        )

    def save(self, step: int, state: Any) -> None:
        """Write the state that training has after `step` steps."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def latest(self) -> int | None:
        """Return the step of the latest complete checkpoint, or None."""
        return self._manager.latest_step()

    def restore(self, step: int, like: Any) -> Any:
        """Read the state at `step`, with the structure, shapes and types of `like`."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.close()
