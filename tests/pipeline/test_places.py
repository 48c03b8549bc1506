"""From a configuration to predictions at new places; areas that training never saw."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS

import priorvae
from priorvae.areas import read_areas
from priorvae.bundles import write_bundle
from priorvae.config import load_config, parse_config
from priorvae.listener import Silent
from priorvae.numpyro import spatial_effect
from priorvae.pipeline import train_run
from priorvae.pipeline.learning import learn
from priorvae.pipeline.rounds import round_config
from priorvae.pipeline.unseen import bench_unseen
from priorvae.processes import build_process

RAW: dict[str, Any] = {
    "name": "line",
    "seed": 1,
    "areas": {"source": "grid:12"},
    "process": {
        "kind": "gp",
        "kernel": "matern32",
        "lengthscale": {"distribution": "loguniform", "low": 0.2, "high": 1.0, "unit": "extent"},
    },
    "model": {"type": "piVAE"},
    "training": {
        "steps": 20, "conditions_per_step": 4, "learning_rate": 1e-6, "warmup_steps": 5,
        "log_every": 10, "checkpoint_every": 10, "rounds": 1,
    },
}  # fmt: skip


@pytest.mark.slow
def test_what_is_learnt_knows_the_places_between_its_areas(tmp_path: Path) -> None:
    config = parse_config(RAW, "line.yaml")
    process = build_process(config.process, read_areas("grid:12"))
    learnt = learn(config, process, tmp_path, Silent())
    assert learnt.evaluation.certificate.status == "passed"
    assert learnt.bundle.info.type == "piVAE" and learnt.bundle.info.features is not None
    path = write_bundle(learnt.bundle, tmp_path / "bundle")
    new = priorvae.load(path).at([[3.0, 0.5], [7.0, 0.5]])  # type: ignore[arg-type]
    root = new.matrix({"lengthscale": 4.0})
    scaled = 3**0.5
    expected = np.eye(2) + (1 + scaled) * np.exp(-scaled) * (1 - np.eye(2))
    np.testing.assert_allclose(root @ root.T, expected, atol=0.02)


def test_a_further_round_has_more_features() -> None:
    config = parse_config(RAW, "line.yaml")
    process = build_process(config.process, read_areas("grid:12"))
    second, third = (round_config(config, process, number) for number in (2, 3))
    assert second.model == config.model and second.training.steps == 40
    number = third.model.features.number  # type: ignore[union-attr]
    assert number == 30 and third.training.steps == 40  # 20 are enough in the first


@pytest.mark.slow  # a run with its report, and a fit
def test_a_fit_predicts_between_its_areas(tmp_path: Path) -> None:
    run = train_run(parse_config(RAW, "line.yaml"), out=tmp_path / "run")
    assert run.evaluation.certificate.status == "passed"
    prior = priorvae.load(tmp_path / "run" / "bundle")
    assert prior.info.type == "piVAE" and prior.conditions[0].name == "lengthscale"
    y = np.sin(prior.areas.centroids[:, 0] / 2)  # type: ignore[index]

    def model() -> None:
        f = spatial_effect("f", prior, scale=1.0)
        numpyro.sample("y", dist.Normal(f, 0.05), obs=y)

    fit = MCMC(NUTS(model), num_warmup=200, num_samples=200, progress_bar=False)
    fit.run(jax.random.key(0))
    draws = fit.get_samples()
    new = prior.at([[3.0, 0.5], [7.0, 0.5]])  # type: ignore[arg-type]
    there = jax.vmap(lambda z, scale: new.decode(z, {"lengthscale": scale}))(
        draws["f_z"], draws["f_lengthscale"]
    )
    # Half way between observations 1 km apart of a curve that turns within 3 km.
    np.testing.assert_allclose(there.mean(axis=0), np.sin([1.5, 3.5]), atol=0.1)


@pytest.mark.slow  # half a minute of training
@pytest.mark.parametrize("name", ["georgia-matern32-pivae", "grid80-rbf-pivae"])
def test_areas_never_seen_are_predicted_as_by_the_process(
    name: str, tmp_path: Path, repository: Path
) -> None:
    config = load_config(repository / "configs" / f"{name}.yaml")
    found = bench_unseen(config, out=tmp_path / "run", num_data=400)
    assert found.ratio + 3 * found.ratio_error < 1.1
    # 400 data sets: the standard error is .0025 (Georgia, 32 areas) to .0041 (a line, 16 areas).
    assert 0.93 <= found.coverage <= 0.97
    assert found.coverage_error < 0.005
