"""What a process known by its draws alone is learnt with, and from where training starts."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.config import ReferenceConfig, TrainingConfig, VAEConfig
from priorvae.errors import ConfigError, ProcessError
from priorvae.objectives import Batch, build_objective, require_learnable
from priorvae.processes import ProperCAR
from priorvae.processes.conditions import Condition
from priorvae.processes.function import FunctionProcess
from priorvae.processes.pilot import NUM_DRAWS, pilot
from tests.maps import lattice
from tests.simulators import LOGNORMAL, SIGMA, W, build, lognormal_moments

MLP = {"structure": "mlp", "encoder": "diagonal", "warm_start": "none"}
RANDOM = {"draws": "random", "batch_size": 32}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> FunctionProcess:
    return build(tmp_path_factory.mktemp("jax"), LOGNORMAL, lattice(4, 5), w=W, sigma=SIGMA)


def model(**changes: object) -> VAEConfig:
    return VAEConfig.model_validate({"type": "PriorCVAE", **changes})


def test_all_that_must_change_is_listed_at_once(process: FunctionProcess) -> None:
    with pytest.raises(ConfigError) as caught:
        require_learnable(model(), TrainingConfig(), process)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "model.structure", "model.warm_start", "model.encoder", "training.draws",
    ]  # fmt: skip
    assert "must be `mlp` (got 'gated-linear'), for function is known by its draws" in lines[0]
    with pytest.raises(ConfigError, match=r"model.type: reference needs a covariance"):
        require_learnable(ReferenceConfig(type="reference"), TrainingConfig(), process)


def test_what_can_be_learnt_is_let_through(process: FunctionProcess) -> None:
    training = TrainingConfig.model_validate(RANDOM)
    require_learnable(model(**MLP), training, process)
    alpha = Condition("alpha", "", 0.0, 0.9, "log1m", "uniform")
    require_learnable(model(), TrainingConfig(), ProperCAR(lattice(3, 4), (alpha,), {}))


def test_what_needs_a_covariance_says_so(process: FunctionProcess) -> None:
    with pytest.raises(ProcessError, match="needs a Gaussian process, and function is known"):
        build_objective(model(), process)


def test_the_pilot_has_the_moments_at_mid_range(process: FunctionProcess) -> None:
    """Five standard errors; the variance's from the lognormal's kurtosis of 8.9."""
    found = pilot(process)
    mean, covariance = lognormal_moments(0.5)
    variance = np.diag(covariance)
    np.testing.assert_allclose(found.mean, mean, atol=5 * np.sqrt(variance[0] / NUM_DRAWS))
    np.testing.assert_allclose(found.variance, variance, rtol=5 * np.sqrt(7.9 / NUM_DRAWS))
    np.testing.assert_array_equal(pilot(process).mean, found.mean)


def test_the_likelihood_variance_is_relative_to_that_of_draws(process: FunctionProcess) -> None:
    objective = build_objective(model(**MLP, likelihood_variance=0.2), process)
    assert objective.variance == pytest.approx(0.2 * pilot(process).variance.mean())


def test_a_value_that_never_varies_is_refused(tmp_path: Path) -> None:
    text = """
        import jax
        def draw(key, hyper):
            return jax.random.normal(key, (12,)).at[2:4].set(7.0)
    """
    constant = build(tmp_path, text, lattice(3, 4))
    with pytest.raises(ProcessError, match=r"a002, a003 had one and the same value in 1024 draws"):
        build_objective(model(**MLP), constant)


@pytest.mark.parametrize("hidden", [(16, 8), ()])
@pytest.mark.slow
def test_training_starts_alike_in_every_unit(hidden: tuple[int, ...], tmp_path: Path) -> None:
    """A process in other units, `a + b f` with a and b of each area, has the same loss.

    Up to float32: at first the same encoder and decoder, moved and scaled, see the same draws.
    """
    head = """
        import jax
        import jax.numpy as jnp
        def draw(key, hyper):
            f = hyper["w"] + jax.random.normal(key, (12,))
    """
    plain = build(tmp_path, head + "        return f\n", lattice(3, 4), w=W)
    line = "        return 40.0 + 8.0 * f\n"
    moved = build(tmp_path, head + line, lattice(3, 4), w=W)
    losses = []
    for process, offset, factor in ((plain, 0.0, 1.0), (moved, 40.0, 8.0)):
        config = model(**MLP, hidden=hidden, likelihood_variance=0.5)
        objective = build_objective(config, process)
        fields = offset + factor * jax.random.normal(jax.random.key(1), (1, 30, 12))
        batch = Batch(jnp.zeros((1, 1), jnp.float32), fields.astype(jnp.float32))
        loss, parts = objective.loss(objective.initial(3), batch, jax.random.key(2))
        losses.append([float(loss), float(parts["kl"])])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
