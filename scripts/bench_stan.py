"""Sample a regression in Stan with each of some bundles, and say what that took.

Run by `make bench-stan`. Counts are simulated from the process that the first bundle stands for;
every bundle is fitted to them by the program that `priorvae export --to stan` writes, with PyStan.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import numpy as np
import stan  # type: ignore[import-untyped]
from numpyro.diagnostics import effective_sample_size, gelman_rubin

import priorvae
from priorvae.decoders.engines import multiplications
from priorvae.evaluation.comparison import simulate_counts
from priorvae.export.stan import example, regression_data, weights_data
from priorvae.inference.design import RegressionData
from priorvae.processes.base import require_gaussian

CHAINS = 2


def main() -> None:
    """Read the command line, sample, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    first = priorvae.load(options.bundles[0])
    process = require_gaussian(first.process(), "this benchmark")
    data = simulate_counts(jax.random.key(1), process, mean_count=20.0).data
    seeds = range(1, options.seeds + 1)
    rows = [measure(path, data, options.draws, seeds) for path in options.bundles]
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        print(
            "| "
            + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values())
            + " |"
        )
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def measure(path: Path, data: RegressionData, draws: int, seeds: Iterable[int]) -> dict[str, Any]:
    """Return what a bundle's model costs to build and to sample, the median run's and all times."""
    bundle = priorvae.load(path)
    given = weights_data(bundle) | regression_data(data)
    program = example(bundle, "poisson", arrays=True)
    start = time.perf_counter()
    stan.build(program, data=given)
    built = time.perf_counter() - start
    runs = sorted((run(program, given, draws, seed) for seed in seeds), key=itemgetter("seconds"))
    median = runs[len(runs) // 2]
    return {
        "bundle": bundle.info.name,
        "values": bundle.size,
        "multiplications": multiplications(bundle.decoder),
        "build, s": built,
        "sampling, s": median["seconds"],
        "of runs": " ".join(f"{each['seconds']:.1f}" for each in runs),
        "leapfrogs a draw": median["leapfrogs"],
        "divergences": sum(each["divergences"] for each in runs),
        "smallest ESS": min(each["ess"] for each in runs),
        "largest R-hat": max(each["rhat"] for each in runs),
    }


def run(program: str, given: dict[str, Any], draws: int, seed: int) -> dict[str, float]:
    """Sample from one seed, which also decides how long warm-up takes."""
    model = stan.build(program, data=given, random_seed=seed)
    start = time.perf_counter()
    fit = model.sample(num_chains=CHAINS, num_warmup=draws, num_samples=draws, delta=0.9)
    seconds = time.perf_counter() - start
    ess, rhat = worst(fit, draws)
    return {
        "seconds": seconds,
        "leapfrogs": float(np.mean(fit["n_leapfrog__"])),
        "divergences": int(np.sum(fit["divergent__"])),
        "ess": ess,
        "rhat": rhat,
    }


def worst(fit: Any, draws: int) -> tuple[float, float]:
    """Return the smallest effective sample size and the largest R-hat of effect and parameters."""
    ess, rhat = np.inf, 1.0
    for name in ("f", "Intercept", "b", "scale", "lengthscale"):
        # PyStan returns (value, draw x chain), the chains running fastest.
        chains = np.asarray(fit[name]).reshape(-1, draws, CHAINS).transpose(2, 1, 0)
        ess = min(ess, float(np.min(effective_sample_size(chains))))
        rhat = max(rhat, float(np.max(gelman_rubin(chains))))
    return ess, rhat


if __name__ == "__main__":
    main()
