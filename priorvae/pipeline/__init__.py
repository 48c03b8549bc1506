"""The main jobs, each from validated input to the files it leaves."""

from priorvae.pipeline.benchmarks import (
    SimulationTiming,
    TrainingShare,
    bench_simulate,
    bench_training,
    cost_exponents,
)
from priorvae.pipeline.evaluation import evaluate_path
from priorvae.pipeline.simulation import simulate_draws
from priorvae.pipeline.training import Run, train_run

__all__ = [
    "Run",
    "SimulationTiming",
    "TrainingShare",
    "bench_simulate",
    "bench_training",
    "cost_exponents",
    "evaluate_path",
    "simulate_draws",
    "train_run",
]
