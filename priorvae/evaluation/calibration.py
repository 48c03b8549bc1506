"""Simulation-based calibration: ranks of the truth among posterior draws, over many data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from priorvae.config import CalibrationConfig
from priorvae.errors import ProcessError
from priorvae.evaluation.targets import generator, split
from priorvae.inference.families import Family, get_family
from priorvae.processes.base import Gaussian, Process
from priorvae.processes.samplers import build_sampler
from priorvae.processes.simulate import draw_block

if TYPE_CHECKING:
    import jax

    from priorvae.bundles import Bundle

__all__ = ["Calibration", "RankHistogram", "calibrate", "rank_histogram", "require_continuous"]

MOST_BINS = 20
FEWEST_IN_A_BIN = 20
"""Ranks expected in a bin, at least: fewer say little (Talts et al. 2018, section 4.1)."""

INTERCEPT_SD = 1.0
"""Prior sd of the intercept, on the link scale."""


@dataclass(frozen=True)
class RankHistogram:
    """Ranks of one quantity's true values among its posterior draws.

    Attributes:
        name: The quantity.
        counts: Ranks in each bin, from lowest to highest.
        expected: What a bin would hold if all ranks were equally likely.
        pvalue: Of the chi-square test that they are.
        mean_rank: Mean of `rank / draws`; 1/2 where the posterior is not biased.
        autocorrelation: Mean autocorrelation of the draws that were kept, from one to the next.
    """

    name: str
    counts: tuple[int, ...]
    expected: float
    pvalue: float
    mean_rank: float
    autocorrelation: float


@dataclass(frozen=True)
class Calibration:
    """Ranks over data sets simulated from the exact process and fitted with a decoder.

    Attributes:
        family: Distribution of the data.
        datasets: Number of data sets.
        draws: Posterior draws of each, that its true values were ranked among.
        quantities: One histogram a quantity: hyperparameters, scale, intercept, and areas' effects.
        divergent: Data sets in whose fit a transition diverged.
    """

    family: str
    datasets: int
    draws: int
    quantities: tuple[RankHistogram, ...]
    divergent: int

    def familywise_pvalue(self) -> float:
        """Return the smallest p-value, Bonferroni-corrected for the number of quantities."""
        return min(1.0, min(q.pvalue for q in self.quantities) * len(self.quantities))

    @property
    def worst(self) -> RankHistogram:
        """The quantity whose ranks are the least uniform."""
        return min(self.quantities, key=lambda q: q.pvalue)


class Truths(NamedTuple):
    """What the data were simulated with: one row a data set."""

    hypers: dict[str, np.ndarray]
    """Hyperparameters, `(dataset,)` each."""
    scale: np.ndarray
    """Scale of the effect, `(dataset,)`."""
    intercept: np.ndarray
    """Intercept, `(dataset,)`."""
    effect: np.ndarray
    """The effect, `(dataset, area)`."""


class Exposure(NamedTuple):
    """What is the same in every data set."""

    offset: np.ndarray
    """Logarithm of the expected counts, or zeros, `(area,)`."""
    trials: np.ndarray | None
    """Binomial trials, `(area,)`, or None."""


def require_continuous(process: Process) -> None:
    """Refuse a process with a hyperparameter that NUTS cannot sample.

    Raises:
        ProcessError: One of them is a category.
    """
    for condition in process.conditions:
        if condition.labels:
            raise ProcessError(
                f"certificate.calibration samples hyperparameters by NUTS, and {condition.name} is "
                f"a category ({condition.span}): leave `calibration` out"
            )


def calibrate(
    key: jax.Array, bundle: Bundle, process: Process, settings: CalibrationConfig
) -> Calibration:
    """Rank true values among posterior draws, over data sets drawn from the exact prior.

    Hyperparameters come from their hyperprior, the effect from the process itself, the data from

        s ~ N+(0, 1),   b ~ N(0, 1),   f = s g,   g ~ process(theta),   y ~ family(b + f + offset);

    and the same model is fitted with the decoder in the process's place. If the two are the same,
    the ranks of true values among independent posterior draws are uniform (Talts et al. 2018,
    Validating Bayesian inference algorithms with simulation-based calibration, theorem 1). Draws
    are thinned to near independence; what autocorrelation is left is reported.

    Args:
        key: Random key of the data and the chains.
        bundle: The decoder.
        process: The process it stands for; it may be known by its draws alone.
        settings: Data sets, family, and length of the chains.

    Raises:
        ProcessError: A hyperparameter is a category.
    """
    require_continuous(process)
    truth_key, exposure_key, data_key, fit_key = split(key, 4)
    family = get_family(settings.family)
    exposure = _exposure(exposure_key, process.size, family, settings.mean_count)
    truths = simulate_truths(truth_key, process, settings.datasets)
    data = _simulate_data(data_key, truths, family, exposure)
    run = posterior_sampler(bundle, family, exposure, settings)
    fits = [run(k, y) for k, y in zip(split(fit_key, len(data)), data, strict=True)]
    chosen = np.unique(np.linspace(0, process.size - 1, settings.areas).astype(int))
    histograms = []
    for name, (true, draws) in _quantities(bundle, truths, [f for f, _ in fits], chosen).items():
        histograms.append(rank_histogram(name, true, draws))
    divergent = int(sum(diverging > 0 for _, diverging in fits))
    _, ranked = _bins(len(data), settings.kept)
    return Calibration(settings.family, len(data), ranked, tuple(histograms), divergent)


def rank_histogram(name: str, true: np.ndarray, draws: np.ndarray) -> RankHistogram:
    """Rank each true value among its posterior draws, and test the ranks for uniformity.

    Args:
        name: The quantity.
        true: `(dataset,)`.
        draws: `(dataset, draw)`, near independent in each row.
    """
    bins, num = _bins(len(true), draws.shape[1])
    ranks = np.sum(draws[:, :num] < true[:, None], axis=1)
    counts = np.bincount(ranks * bins // (num + 1), minlength=bins)
    return RankHistogram(
        name=name,
        counts=tuple(counts.tolist()),
        expected=len(true) / bins,
        pvalue=float(stats.chisquare(counts).pvalue),
        mean_rank=float(ranks.mean() / num),
        autocorrelation=_autocorrelation(draws),
    )


def _bins(datasets: int, draws: int) -> tuple[int, int]:
    """Return the number of bins, and of draws to rank among, so that bins hold equally many ranks.

    Among `num` draws there are `num + 1` ranks.
    """
    bins = int(np.clip(datasets // FEWEST_IN_A_BIN, 2, min(MOST_BINS, draws + 1)))
    return bins, draws - (draws + 1) % bins


def _autocorrelation(draws: np.ndarray) -> float:
    """Return the lag-one autocorrelation, over the rows together."""
    centred = draws - draws.mean(axis=1, keepdims=True)
    scaled = centred / np.maximum(centred.std(axis=1, keepdims=True), np.finfo(float).tiny)
    return float(np.mean(scaled[:, 1:] * scaled[:, :-1]))


def simulate_truths(key: jax.Array, process: Process, num: int) -> Truths:
    """Draw what data sets are made with from the exact prior."""
    field_key, rest_key = split(key)
    rng = generator(rest_key)
    if isinstance(process, Gaussian):
        hypers = {c.name: c.quantile(rng.uniform(size=num)) for c in process.conditions}
        # One exact root for each draw, whatever the quickest sampler would interpolate.
        fields = np.stack([_draw(rng, process, hypers, i) for i in range(num)])
    else:
        fields, hypers = draw_block(field_key, process, build_sampler(process), num)
    scale = np.abs(rng.standard_normal(num))
    return Truths(hypers, scale, INTERCEPT_SD * rng.standard_normal(num), scale[:, None] * fields)


def _draw(
    rng: np.random.Generator, process: Gaussian, hypers: Mapping[str, np.ndarray], i: int
) -> np.ndarray:
    root = process.root({name: float(values[i]) for name, values in hypers.items()})
    return root @ rng.standard_normal(root.shape[1])


def _exposure(key: jax.Array, size: int, family: Family, mean_count: float) -> Exposure:
    spread = mean_count * np.exp(0.5 * generator(key).standard_normal(size))
    if family.takes_trials:
        return Exposure(np.zeros(size), np.maximum(np.round(spread), 1.0))
    return Exposure(np.log(spread) if family.has_rate else np.zeros(size), None)


def _simulate_data(
    key: jax.Array, truths: Truths, family: Family, exposure: Exposure
) -> np.ndarray:
    import jax.numpy as jnp

    eta = truths.intercept[:, None] + truths.effect + exposure.offset
    trials = None if exposure.trials is None else jnp.asarray(exposure.trials)
    return np.asarray(family.likelihood(jnp.asarray(eta), trials).sample(key), dtype=np.float64)


def posterior_sampler(
    bundle: Bundle, family: Family, exposure: Exposure, settings: CalibrationConfig
) -> Callable[[jax.Array, np.ndarray], tuple[dict[str, np.ndarray], int]]:
    """Return `(key, y) -> (draws by name, divergences)`, compiled once for all data sets."""
    import jax
    import jax.numpy as jnp
    from numpyro.infer.hmc import hmc
    from numpyro.infer.util import initialize_model

    model = _build_model(bundle, family, exposure)
    example = jnp.asarray(np.ones(bundle.size))
    info = initialize_model(jax.random.key(0), model, model_args=(example,), dynamic_args=True)
    start, step = hmc(potential_fn_gen=info.potential_fn, algo="NUTS")
    dense = [("centre", "f_scale", *(f"f_{c.name}" for c in bundle.conditions))]
    shapes = info.param_info.z

    def begin(key: jax.Array, y: jax.Array) -> Any:
        keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
        params = {n: jax.random.uniform(keys[n], v.shape, minval=-1.0) for n, v in shapes.items()}
        return start(
            params,
            settings.warmup,
            dense_mass=dense,
            target_accept_prob=settings.target_accept,
            model_args=(y,),
            rng_key=key,
        )

    def chain(key: jax.Array, y: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        def advance(state: Any, num: int) -> tuple[Any, jax.Array]:
            def one(_: Any, carry: Any) -> Any:
                moved = step(carry[0], (y,))
                return moved, carry[1] + moved.diverging

            return jax.lax.fori_loop(0, num, one, (state, jnp.zeros((), int)))

        def keep(state: Any, _: Any) -> Any:
            state, diverging = advance(state, settings.thinning)
            return state, (state.z, diverging)

        state, _ = advance(begin(key, y), settings.warmup)
        _, (params, diverging) = jax.lax.scan(keep, state, length=settings.kept)
        return jax.vmap(info.postprocess_fn(y))(params), diverging.sum()

    compiled = jax.jit(chain)

    def run(key: jax.Array, y: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        draws, diverging = compiled(key, jnp.asarray(y))
        return {name: np.asarray(values) for name, values in draws.items()}, int(diverging)

    return run


def _build_model(bundle: Bundle, family: Family, exposure: Exposure) -> Callable[[jax.Array], None]:
    """Return the model that the data were simulated from, the decoder in the process's place."""
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    from priorvae.inference.effect import spatial_effect

    offset = jnp.asarray(exposure.offset)
    trials = None if exposure.trials is None else jnp.asarray(exposure.trials)

    def model(y: jax.Array) -> None:
        f = spatial_effect("f", bundle)
        # The data inform the sum of intercept and mean effect: that is what is sampled.
        shift = jnp.mean(f)
        centre = numpyro.sample("centre", dist.Normal(shift, INTERCEPT_SD))
        numpyro.deterministic("Intercept", centre - shift)
        eta = offset + centre - shift + f
        numpyro.sample("y", family.likelihood(eta, trials), obs=y)

    return model


def _quantities(
    bundle: Bundle,
    truths: Truths,
    fits: list[dict[str, np.ndarray]],
    areas: np.ndarray,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return true values `(dataset,)` and draws `(dataset, draw)` of what is ranked, by name."""
    true = {"scale": truths.scale, "Intercept": truths.intercept}
    sites = {"scale": "f_scale", "Intercept": "Intercept"}
    # A decoder that integrates a hyperparameter out has no posterior of it.
    for condition in bundle.conditions:
        true[condition.name] = truths.hypers[condition.name]
        sites[condition.name] = f"f_{condition.name}"
    found = {n: (true[n], np.stack([draws[site] for draws in fits])) for n, site in sites.items()}
    effects = np.stack([draws["f"][:, areas] for draws in fits])
    for position, area in enumerate(areas):
        name = f"effect of {bundle.sites[area]}"
        found[name] = (truths.effect[:, area], effects[:, :, position])
    return found
