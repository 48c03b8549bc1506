"""One regression with one bundle in NumPyro, Stan, brms and PyMC: the same posterior.

Sudden infant deaths in North Carolina's 100 counties, with the released bundle and the priors of
`priorvae infer`, each sampled by the engine's own NUTS. The deaths of 1974 have a posterior that
every engine goes through: that of 1979 has a second mode, of a lengthscale of hundreds of km and a
few thousandths of the mass, where one chain in tens stays for hundreds of draws.
"""

import json
import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import jax
import numpy as np
import pytest
from numpyro.diagnostics import effective_sample_size, gelman_rubin

import priorvae
from priorvae.bundles import Bundle
from priorvae.export.stan import example, regression_data, weights_data
from priorvae.inference import RegressionPriors, fit, load_data
from priorvae.inference.regression import coefficient_names, typical_response
from tests.brms import exported, install, run
from tests.stan import build

# httpstan's and PyMC's own warnings are not ours to heed.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FORMULA = "SID74 ~ I(NWBIR74 / BIR74) + offset(log(BIR74))"
CHAINS, WARMUP, DRAWS = 4, 700, 700
HYPERS = ("Intercept", "slope", "scale", "lengthscale")
TARGET_ACCEPT = 0.95


class Regression:
    """The bundle and the data, and what each engine makes of them.

    An engine returns draws `(chain, draw, quantity)`: `HYPERS`, then every area's expected count.
    """

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        self.bundle, self.folder = bundle, folder
        self._estimates: dict[str, Estimates] = {}
        self.data = load_data(bundle.area_ids, "builtin:sids2", formula=FORMULA, family="poisson")
        self.location = typical_response(self.data)
        sd = self.data.design[:, 0].std(ddof=1)
        self.slope_scale = float(RegressionPriors().slope_scale / sd)

    def estimates(self, engine: str) -> "Estimates":
        """Return an engine's means and sds; it samples when it is first asked."""
        if engine not in self._estimates:
            self._estimates[engine] = estimate(ENGINES[engine][0](self))
        return self._estimates[engine]

    def numpyro(self) -> np.ndarray:
        found = fit(jax.random.key(3), self.data, self.bundle, num_warmup=WARMUP, num_samples=DRAWS)
        names = ["Intercept", *coefficient_names(self.data), "f_scale", "f_lengthscale"]
        hypers = [found.draws(name)[..., None] for name in names]
        return np.concatenate([*hypers, found.draws("mu")], axis=-1)

    def stan(self) -> np.ndarray:
        program = example(self.bundle, "poisson", arrays=True)
        model = build(
            program, weights_data(self.bundle) | regression_data(self.data), random_seed=4
        )
        found = model.sample(
            num_chains=CHAINS, num_warmup=WARMUP, num_samples=DRAWS, delta=TARGET_ACCEPT
        )
        names = ["Intercept", "b", "scale", "lengthscale", "mu"]
        # PyStan returns (value, draw x chain), the chains running fastest.
        flat = np.concatenate([np.atleast_2d(found[name]) for name in names])
        return flat.reshape(-1, DRAWS, CHAINS).transpose(2, 1, 0)

    def brms(self) -> np.ndarray:
        settings = {
            "bundle": str(exported(self.bundle, self.folder / "bundle")),
            "intercept": f"student_t(3, {self.location!r}, 2.5)",
            "slope": f"normal(0, {self.slope_scale!r})",
            "warmup": WARMUP,
            "draws": 2 * DRAWS,  # of fewer effective ones; see posterior.R
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))
        # Shuffled: areas join by id.
        order = np.random.default_rng(1).permutation(self.bundle.size)
        self._write_table(self.folder / "data.csv", order)
        (self.folder / "library").mkdir()
        library = install(self.folder / "library")
        run("Rscript", str(HERE / "posterior.R"), self.folder, R_LIBS=library)
        shape = json.loads((self.folder / "draws.json").read_text())["shape"]
        draws = np.fromfile(self.folder / "draws.bin").reshape(shape, order="F").swapaxes(0, 1)
        sorted_back = [*range(len(HYPERS)), *(len(HYPERS) + np.argsort(order))]
        return draws[..., sorted_back]

    def pymc(self) -> np.ndarray:
        pm = pytest.importorskip("pymc")
        x, data = self.data.design[:, 0], self.data
        with pm.Model():
            f = priorvae.pymc.spatial_effect("f", self.bundle)
            slope = pm.Normal("slope", 0.0, self.slope_scale)
            # As in `priorvae infer`: the sum of intercept and effect's mean is what is sampled.
            centre = pm.Flat("centre", initval=self.location)
            about = pm.StudentT.dist(3.0, mu=self.location, sigma=2.5)
            pm.Potential("prior", pm.logp(about, centre - f.mean()))
            pm.Deterministic("Intercept", centre - f.mean() - slope * x.mean())
            mu = pm.math.exp(data.offset + centre - f.mean() + slope * (x - x.mean()) + f)
            pm.Poisson("deaths", pm.Deterministic("mu", mu), observed=data.y)
            # PyTensor's C compiler adds to the path.
            with patch.dict(os.environ):
                found = pm.sample(
                    DRAWS, tune=WARMUP, chains=CHAINS, cores=1, random_seed=5, progressbar=False,
                    target_accept=TARGET_ACCEPT,
                )  # fmt: skip
        names = ["Intercept", "slope", "f_scale", "f_lengthscale"]
        hypers = [found.posterior[name].to_numpy()[..., None] for name in names]
        return np.concatenate([*hypers, found.posterior["mu"].to_numpy()], axis=-1)

    def _write_table(self, path: Path, order: np.ndarray) -> None:
        columns = (self.bundle.area_ids, self.data.y, self.data.design[:, 0], self.data.offset)
        rows = list(zip(*columns, strict=True))
        lines = [f"{i},{int(y)},{float(x)!r},{float(o)!r}" for i, y, x, o in rows]
        text = "\n".join(["id,y,x,exposure", *(lines[i] for i in order)])
        path.write_text(text + "\n")


HERE = Path(__file__).parent
ENGINES: dict[str, tuple[Callable[[Regression], np.ndarray], tuple[pytest.MarkDecorator, ...]]] = {
    "NumPyro": (Regression.numpyro, ()),
    "Stan": (Regression.stan, (pytest.mark.stan,)),
    "brms": (Regression.brms, (pytest.mark.r,)),
    "PyMC": (Regression.pymc, ()),
}
PAIRS = [
    pytest.param(one, other, marks=[*ENGINES[one][1], *ENGINES[other][1]], id=f"{one}-{other}")
    for one, other in combinations(ENGINES, 2)
]


class Estimates(NamedTuple):
    """Estimates of the posterior, a row of means and a row of sds, and their standard errors."""

    values: np.ndarray
    errors: np.ndarray


def estimate(draws: np.ndarray) -> Estimates:
    """Estimate from draws `(chain, draw, quantity)`; errors from effective sample sizes.

    A sd's error is that of the variance, the mean of squared deviations, over twice the sd.
    """
    assert gelman_rubin(draws).max() < 1.05
    mean, sd = draws.mean((0, 1)), draws.std((0, 1))
    errors = [_error_of_mean(draws), _error_of_mean((draws - mean) ** 2) / (2 * sd)]
    return Estimates(np.array([mean, sd]), np.array(errors))


def _error_of_mean(draws: np.ndarray) -> np.ndarray:
    return draws.std((0, 1)) / np.sqrt(effective_sample_size(draws))


@pytest.fixture(scope="module")
def regression(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Regression:
    bundle = priorvae.load(repository / "artifacts" / "nc-sids-matern32-priorcvae")
    return Regression(bundle, tmp_path_factory.mktemp("posteriors"))


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_engines_have_one_posterior(regression: Regression, one: str, other: str) -> None:
    """Means and sds of every quantity, to 4 combined Monte Carlo standard errors.

    Of six pairs' 1,248 comparisons, were they independent, one would exceed 4 with probability
    .076; they are far from it, and the seeds are fixed.
    """
    ours, theirs = regression.estimates(one), regression.estimates(other)
    apart = np.abs(ours.values - theirs.values) / np.hypot(ours.errors, theirs.errors)
    names = [*HYPERS, *regression.bundle.area_ids]
    moment, position = np.unravel_index(apart.argmax(), apart.shape)
    assert apart.max() < 4, (("mean", "sd")[moment], names[position], apart.max())
