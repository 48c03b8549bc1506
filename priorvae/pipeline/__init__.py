"""The main jobs, each from validated input to the files it leaves."""

from priorvae.pipeline.benchmarks import (
    SimulationTiming,
    TrainingShare,
    bench_simulate,
    bench_training,
    cost_exponents,
)
from priorvae.pipeline.choosing import explain_choice
from priorvae.pipeline.decoders import DecoderRow, bench_decoders
from priorvae.pipeline.evaluation import evaluate_path
from priorvae.pipeline.gradient import gradient_seconds
from priorvae.pipeline.rivals import Rival, read_rival, write_problem
from priorvae.pipeline.seeds import SeedSummary, over_seeds
from priorvae.pipeline.simulation import simulate_draws
from priorvae.pipeline.training import Run, train_run
from priorvae.pipeline.variants import map_folder, variants

__all__ = [
    "DecoderRow",
    "Rival",
    "Run",
    "SeedSummary",
    "SimulationTiming",
    "TrainingShare",
    "bench_decoders",
    "bench_simulate",
    "bench_training",
    "cost_exponents",
    "evaluate_path",
    "explain_choice",
    "gradient_seconds",
    "map_folder",
    "over_seeds",
    "read_rival",
    "simulate_draws",
    "train_run",
    "variants",
    "write_problem",
]
