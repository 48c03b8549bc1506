"""A trained decoder's posterior on simulated counts, against the exact one, by weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from priorvae.config import PosteriorConfig
from priorvae.evaluation.comparison import SIMULATED, posterior_fidelity
from priorvae.inference.coupling import obstacle
from priorvae.processes import Gaussian, Process

if TYPE_CHECKING:
    from priorvae.bundles import Bundle
    from priorvae.evaluation.posterior import PosteriorFidelity

__all__ = ["weighted_figures"]

SEED = 1


def weighted_figures(bundle: Bundle, process: Process, path: Path) -> dict[str, float]:
    """Return the figures of a decoder's posterior, without exact inference.

    Counts are simulated from the process, the decoder is fitted to them, and its draws are taken to
    the exact posterior by importance weights; see `correct_fit`. The figures are kept in a file,
    and not measured again while it stands.

    Args:
        bundle: The decoder.
        process: The process it stands for.
        path: The file.

    Returns:
        Figures by name; none where the decoder has no such weights, or a hyperparameter that NUTS
        cannot sample.
    """
    if not isinstance(process, Gaussian) or obstacle(bundle, process) is not None:
        return {}
    if any(condition.labels for condition in process.conditions):
        return {}
    if not path.exists():
        path.write_text(json.dumps(_measure(bundle, process), indent=1) + "\n", encoding="utf-8")
    return {str(k): float(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()}


def _measure(bundle: Bundle, process: Gaussian) -> dict[str, float]:
    import jax

    settings = PosteriorConfig(data=SIMULATED, formula="", family="poisson", exact="weighted")
    return _figures(posterior_fidelity(jax.random.key(SEED), bundle, process, settings))


def _figures(found: PosteriorFidelity) -> dict[str, float]:
    assert found.importance_fraction is not None  # as of every weighted posterior
    return {
        "correlation": found.correlation,
        "rmse": found.rmse,
        "sd_ratio": found.sd_ratio,
        "coverage": found.coverage,
        "hyper_shift": found.largest_shift(),
        "posterior_fraction": found.importance_fraction,
    }
