"""The CAR family from a configuration to a certified bundle."""

from pathlib import Path

import numpy as np
import pytest

from priorvae.bundles import load_bundle
from priorvae.config import parse_config
from priorvae.pipeline import train_run
from tests.bundles.numpy_reader import golden_error

RHO = {"distribution": "uniform", "low": 0.0, "high": 1.0}
PROCESSES = {"bym2": {"kind": "bym2", "rho": RHO}, "icar": {"kind": "icar"}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bym2", "icar"])
def test_a_few_steps_reach_the_certificate(kind: str, tmp_path: Path) -> None:
    config = parse_config(
        {
            "name": "small", "seed": 1, "areas": {"source": "grid:4x5"},
            "process": PROCESSES[kind],
            "model": {"type": "PriorCVAE", "warm_start_sweeps": 100},
            "training": {
                "steps": 20, "conditions_per_step": 4, "learning_rate": 1e-5, "warmup_steps": 5,
                "log_every": 10, "checkpoint_every": 10,
            },
            "certificate": {"importance_fraction": 0.99, "covariance_error": 0.001},
        },
        "config.yaml",
    )  # fmt: skip
    run = train_run(config, out=tmp_path / "run")
    assert run.evaluation.certificate.passed, run.evaluation.certificate.summary()
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert golden_error(tmp_path / "run" / "bundle") < 1e-6
    assert bundle.process().kind == kind
    for hyper in [{"rho": v} for v in (0.0, 0.4, 1.0)] if kind == "bym2" else [{}]:
        matrix, expected = bundle.matrix(hyper), bundle.process().covariance(hyper)
        error = np.linalg.norm(matrix @ matrix.T - expected) / np.linalg.norm(expected)
        assert error < 1e-3
