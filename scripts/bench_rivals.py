"""Train a decoder of dl4bi on a map, by its authors' recipe, and write what it draws.

Runs in an environment of its own (`pip install "dl4bi[cpu]==0.1.3"`) and imports nothing of
priorvae: it reads the map from the file that `priorvae bench problem` writes, and what it writes is
judged by `priorvae bench decoders --rival FILE`.

The recipe is that of the authors' Matern-3/2 benchmark (Navott et al. 2026, DeepRV): the map's
longest side is 100, one lengthscale and 32 draws a step, Cholesky of K + 5e-4 I, gradients clipped
at norm 3, Yogi with a cosine schedule from 1e-3 (MLP) or 5e-3 (gMLP); AdamW from 1e-3 with weight
decay 1e-2 as their other choice. The schedule's length is what fits into the CPU seconds given.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

# Read on import: a bar that is redrawn at every step is no part of the training.
os.environ["TQDM_DISABLE"] = "1"

import jax
import jax.numpy as jnp
import numpy as np
import optax
import wandb
from dl4bi.core.train import cosine_annealing_lr, train
from dl4bi.vae import MLPDeepRV, gMLPDeepRV
from dl4bi.vae.train_utils import deep_rv_train_step, generate_surrogate_decoder
from dl4bi_sps import kernels

KERNELS = {
    "matern12": kernels.matern_1_2,
    "matern32": kernels.matern_3_2,
    "matern52": kernels.matern_5_2,
    "rbf": kernels.rbf,
}


class Recipe(NamedTuple):
    """A model and how its authors train it."""

    model: Callable[[int], Any]
    """Builds it for so many areas."""
    optimiser: Callable[..., optax.GradientTransformation]
    """Takes a learning rate."""
    rate: float
    """The largest of the schedule."""


def mlp(num_areas: int) -> MLPDeepRV:
    """Return the perceptron with one hidden layer as wide as the map."""
    return MLPDeepRV(dims=[num_areas, num_areas])


def gmlp(num_areas: int) -> gMLPDeepRV:
    """Return the gated perceptron of two blocks."""
    return gMLPDeepRV(num_blks=2)


adamw = partial(optax.adamw, weight_decay=1e-2)
RECIPES = {
    "MLPDeepRV": Recipe(mlp, optax.yogi, 1e-3),
    "MLPDeepRV-adamw": Recipe(mlp, adamw, 1e-3),
    "gMLPDeepRV": Recipe(gmlp, optax.yogi, 5e-3),
    "gMLPDeepRV-adamw": Recipe(gmlp, adamw, 1e-3),
}
SIDE, BATCH, JITTER, CLIP = 100.0, 32, 5e-4, 3.0
MOST_VALUES = 20_000_000
"""Of the draws at one lengthscale: enough for 20,000 draws on 1,000 areas."""
TRIAL = 0.05
"""Share of the budget spent on finding out what a step costs, at first and not charged."""
WARM = 5
"""Steps after which everything is compiled."""


@dataclass(frozen=True)
class Problem:
    """A map and a prior on it, lengths scaled so that the longest side is 100.

    Attributes:
        places: Coordinates `(area, 2)`.
        kernel: Name of the kernel.
        low: Least lengthscale; its logarithm is uniform.
        high: Greatest lengthscale.
        lengthscales: Those at which the decoder is judged.
        text: The configuration it came from.
    """

    places: jax.Array
    kernel: str
    low: float
    high: float
    lengthscales: np.ndarray
    text: str


class EnoughError(Exception):
    """The trial has taken its share of the budget."""


def main() -> None:
    """Train, draw, time a gradient, write."""
    options = arguments()
    jax.config.update("jax_platforms", "cpu")
    # A step that is done when the call returns, so that its CPU seconds are its own.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    wandb.init(mode="disabled")
    problem = read(options.problem)
    steps = affordable(problem, options)
    model, state, seconds = fit(problem, options, steps)
    decode = generate_surrogate_decoder(state, model)
    num_draws = min(options.draws, MOST_VALUES // len(problem.places))
    fields = [
        draw(jax.random.key(1000 + i), decode, problem, value, num_draws)
        for i, value in enumerate(problem.lengthscales)
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    partial_file = options.out.with_suffix(".partial.npz")
    np.savez(
        partial_file,
        draws=np.stack(fields),
        package=f"dl4bi {version('dl4bi')}",
        type=options.recipe,
        steps=steps,
        cpu_seconds=seconds,
        gradient_seconds=gradient_seconds(decode, problem),
        seed=options.seed,
        problem=problem.text,
    )
    partial_file.replace(options.out)
    print(f"{options.out}: {steps} steps in {seconds:.0f} CPU seconds")


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train a decoder of dl4bi and write its draws.")
    parser.add_argument("problem", type=Path, help="file that `priorvae bench problem` wrote")
    parser.add_argument("--recipe", choices=RECIPES, required=True)
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU seconds of training")
    parser.add_argument("--draws", type=int, default=20_000, help="draws a lengthscale, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    return parser.parse_args()


def read(path: Path) -> Problem:
    """Read a problem and scale it to the recipe's units."""
    with np.load(path, allow_pickle=False) as held:
        scale = SIDE / float(held["extent"])
        places = (held["places"] - held["places"].min(axis=0)) * scale
        lengthscales = held["lengthscales"] * scale
        return Problem(
            places=jnp.asarray(places, dtype=jnp.float32),
            kernel=str(held["kernel"]),
            low=float(lengthscales.min()),
            high=float(lengthscales.max()),
            lengthscales=lengthscales,
            text=str(held["config"]),
        )


def affordable(problem: Problem, options: argparse.Namespace) -> int:
    """Return the number of steps that the budget is good for, compilation included."""
    marks: list[float] = []
    with suppress(EnoughError):
        run(problem, options, 10**6, marks, TRIAL * options.seconds)
    # The first batch only tells shapes; a step lies between two of the others.
    done = np.array(marks[1:]) - marks[1]
    step = (done[-1] - done[WARM]) / (len(done) - 1 - WARM)
    return max(1, int((options.seconds - (done[WARM] - WARM * step)) / step))


def fit(problem: Problem, options: argparse.Namespace, steps: int) -> tuple[Any, Any, float]:
    """Return the model, its trained state and the CPU seconds that the steps took."""
    marks: list[float] = []
    model, state = run(problem, options, steps, marks)
    return model, state, time.process_time() - marks[1]


def run(
    problem: Problem,
    options: argparse.Namespace,
    steps: int,
    marks: list[float],
    limit: float = math.inf,
) -> tuple[Any, Any]:
    """Run the package's own training loop; note the CPU time at which each batch was asked for."""
    recipe = RECIPES[options.recipe]
    model = recipe.model(len(problem.places))
    rate = cosine_annealing_lr(steps, recipe.rate)
    optimiser = optax.chain(optax.clip_by_global_norm(CLIP), recipe.optimiser(rate))

    def loader(key: jax.Array) -> Iterator[dict[str, jax.Array]]:
        for batch in batches(key, problem):
            marks.append(time.process_time())
            if len(marks) > WARM + 3 and marks[-1] - marks[WARM + 1] > limit:
                raise EnoughError
            yield batch

    key = jax.random.key(options.seed)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # a table of its parameters
        state = train(key, model, optimiser, deep_rv_train_step, steps, loader)
    return model, jax.block_until_ready(state)


def batches(key: jax.Array, problem: Problem) -> Iterator[dict[str, jax.Array]]:
    """Yield draws that share a lengthscale, with the normals they came from."""
    places, low, high = problem.places, math.log(problem.low), math.log(problem.high)
    kernel, n = KERNELS[problem.kernel], len(problem.places)

    @jax.jit
    def batch(key: jax.Array) -> dict[str, jax.Array]:
        for_length, for_normals = jax.random.split(key)
        length = jnp.exp(jax.random.uniform(for_length, minval=low, maxval=high))
        z = jax.random.normal(for_normals, (BATCH, n))
        covariance = kernel(places, places, 1.0, length) + JITTER * jnp.eye(n)
        f = z @ jnp.linalg.cholesky(covariance).T
        return {"s": places, "f": f, "z": z, "conditionals": length[None]}

    while True:
        key, now = jax.random.split(key)
        yield batch(now)


def draw(
    key: jax.Array,
    decode: Callable[..., jax.Array],
    problem: Problem,
    lengthscale: float,
    num_draws: int,
) -> np.ndarray:
    """Return fields `(draw, area)` at one lengthscale, float32."""
    n, condition = len(problem.places), jnp.array([lengthscale], dtype=jnp.float32)
    size = max(1, min(num_draws, 80_000 // n))
    parts = [
        decode(jax.random.normal(part, (size, n)), condition, s=problem.places)
        for part in jax.random.split(key, math.ceil(num_draws / size))
    ]
    return np.concatenate([np.asarray(part).reshape(size, n) for part in parts])[:num_draws]


def gradient_seconds(decode: Callable[..., jax.Array], problem: Problem) -> float:
    """Return the CPU seconds of one gradient of a log density over normals and lengthscale.

    The density is that of counts of 1 with the field as log rate, as `priorvae bench decoders`
    times its own; gradients follow one another inside one compiled loop.
    """
    middle = (math.log(problem.low) + math.log(problem.high)) / 2
    half = (math.log(problem.high) - math.log(problem.low)) / 2

    def density(z: jax.Array, u: jax.Array) -> jax.Array:
        length = jnp.exp(middle + half * jnp.tanh(u))
        f = decode(z[None], length[None], s=problem.places).reshape(-1)
        return jnp.sum(f - jnp.exp(f)) - z @ z / 2 + jnp.log1p(-(jnp.tanh(u) ** 2))

    @jax.jit
    def many(start: tuple[jax.Array, jax.Array], num: int) -> tuple[jax.Array, jax.Array]:
        def one(_: int, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            slopes = jax.grad(density, argnums=(0, 1))(*at)
            return at[0] + 1e-4 * slopes[0], at[1] + 1e-4 * slopes[1]

        return jax.lax.fori_loop(0, num, one, start)

    start = (jax.random.normal(jax.random.key(0), (len(problem.places),)), jnp.float32(0.1))
    return quickest(lambda num: jax.block_until_ready(many(start, num)))


def quickest(call: Callable[[int], Any]) -> float:
    """Return the CPU seconds that one of `num` repetitions takes, in the quickest of five runs."""
    call(1)  # compiles

    def each(num: int) -> float:
        begin = time.process_time()
        call(num)
        return (time.process_time() - begin) / num

    num = max(1, min(20_000, int(0.3 / max(each(3), 1e-6))))
    return min(each(num) for _ in range(5))


if __name__ == "__main__":
    main()
