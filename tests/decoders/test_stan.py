"""Every layer kind in Stan gives the numbers of every other back end, and their gradients."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from priorvae.decoders import Decoder, jax_backend, numpy_backend
from priorvae.decoders.stan_backend import arguments, stan_data, stan_functions, stan_name
from priorvae.processes.conditions import Condition
from tests.decoders.test_decoders import AREAS, LATENT, STACKS, random_weights
from tests.stan import build, check_syntax

# httpstan's own warnings are not ours to heed.
pytestmark = pytest.mark.filterwarnings("ignore")

TRANSFORMS = {
    "identity": Condition("a", "", -1.0, 3.0, "identity", "uniform"),
    "log": Condition("a", "", 5.0, 200.0, "log", "loguniform"),
    "log1m": Condition("a", "", 0.0, 0.99, "log1m", "uniform"),
    "arcsine": Condition("a", "", 0.0, 1.0, "arcsine", "uniform"),
    "asin": Condition("a", "", -0.9, 0.9, "asin", "uniform"),
}
CATEGORY = Condition(
    "kernel", "", 0.0, 2.0, "category", "categorical", labels=("rbf", "matern32", "matern52")
)


def decoders() -> dict[str, Decoder]:
    from priorvae.decoders.layers import Dense, Gate

    found = {name: Decoder(LATENT, AREAS, *stack) for name, stack in STACKS.items()}
    gate = (Dense(5, bias=False), Gate((2,)), Dense(AREAS, bias=False))
    found |= {f"scale {k}": Decoder(LATENT, AREAS, (c,), gate) for k, c in TRANSFORMS.items()}
    found["category"] = Decoder(LATENT, AREAS, (CATEGORY,), gate)
    return found


DECODERS = decoders()
PARTS = 3
"""Programs that they are tested in: the compiler behind PyStan is given a second for each."""

PREFIXES = {name: f"d{number}" for number, name in enumerate(DECODERS)}


def theta(decoder: Decoder) -> list[float]:
    return [2.0 if c.labels else float(c.from_unit(0.3)) for c in decoder.conditions]


def declared(decoder: Decoder, prefix: str) -> str:
    """Declarations of a decoder's data under names of its own."""
    lines = [f"vector[{len(decoder.conditions)}] {prefix}_{n};" for n in ("low", "high", "at")]
    for argument in arguments(decoder):
        own = f"{prefix}_{argument.name}"
        sizes = [f"{own}_rows"] + ([f"{own}_cols"] if argument.type == "matrix" else [])
        lines += [f"int {size};" for size in sizes]
        lines.append(f"{argument.type}[{', '.join(sizes)}] {own};")
    return "\n".join(lines)


def call(decoder: Decoder, prefix: str) -> str:
    weights = "".join(f", {prefix}_{a.name}" for a in arguments(decoder))
    return f"{prefix}_decode(z, {prefix}_at, {prefix}_low, {prefix}_high{weights})"


def program(names: Sequence[str]) -> str:
    """One program that holds several decoders."""
    functions, data, fields = [], [], []
    for name in names:
        decoder = DECODERS[name]
        prefix = PREFIXES[name]
        functions.append(stan_functions(decoder, prefix))
        data.append(declared(decoder, prefix))
        fields.append(f"f[{len(fields) + 1}] = {call(decoder, prefix)}';")
    return (
        "functions {\n" + "\n".join(functions) + "}\n"
        "data {\nint which;\nvector[6] weight;\n" + "\n".join(data) + "\n}\n"
        f"parameters {{ vector[{LATENT}] z; }}\n"
        f"transformed parameters {{ matrix[{len(names)}, {AREAS}] f;\n"
        + "\n".join(fields)
        + "}\nmodel { target += f[which] * weight; }\n"
    )


def data(names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        decoder = DECODERS[name]
        own = stan_data(decoder, random_weights(decoder)) | {"at": theta(decoder)}
        found |= {f"{PREFIXES[name]}_{k}": v for k, v in own.items()}
    return found


@pytest.mark.stan
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_stan_agrees_with_every_other_back_end(part: int) -> None:
    names = list(DECODERS)[part::PARTS]
    source, given = program(names), data(names)
    rng = np.random.default_rng(part)
    z, weight = rng.normal(size=LATENT), rng.normal(size=AREAS)
    for number, name in enumerate(names):
        decoder = DECODERS[name]
        model = build(source, given | {"which": number + 1, "weight": weight.tolist()})
        weights = random_weights(decoder)
        hyper = dict(zip([c.name for c in decoder.conditions], theta(decoder), strict=True))
        expected = numpy_backend.decode(decoder, weights, z, hyper)
        written = np.array(model.constrain_pars(z.tolist()))
        fields = written[LATENT:].reshape(AREAS, len(names)).T
        np.testing.assert_allclose(fields[number], expected, rtol=1e-10, atol=1e-12, err_msg=name)
        decode = partial(jax_backend.decode, decoder, weights, hyper=hyper)
        (ours,) = jax.vjp(decode, jnp.asarray(z))[1](jnp.asarray(weight))
        theirs = model.grad_log_prob(z.tolist())
        np.testing.assert_allclose(theirs, ours, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.stan
def test_every_decoder_is_valid_stan() -> None:
    check_syntax(program(list(DECODERS)))


def test_functions_keep_to_the_language_of_old_versions() -> None:
    """Stan 2.21, which Debian's rstan has, knows no arrays of the new syntax and no overloading."""
    for name, decoder in DECODERS.items():
        source = stan_functions(decoder)
        assert "array[" not in source, name
        defined = re.findall(r"^\w+ (nn_\w+)\(", source, flags=re.MULTILINE)
        assert len(defined) == len(set(defined)), name
        # Each is defined before it is called.
        for position, function in enumerate(defined):
            first = source.index(f"{function}(")
            assert source[:first].count("\n}") == position, (name, function)


def test_weights_keep_their_names_and_values() -> None:
    decoder = DECODERS["mixture"]
    weights = random_weights(decoder)
    found = stan_data(decoder, weights)
    kernels = np.array(found[stan_name("layers.0.kernels")])
    assert kernels.shape == (found["layers_0_kernels_rows"], found["layers_0_kernels_cols"])
    np.testing.assert_array_equal(kernels[LATENT : 2 * LATENT], weights["layers.0.kernels"][1])
    assert (found["low"], found["high"]) == ([5.0], [200.0])
