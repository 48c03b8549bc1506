"""Every layer kind in every back end gives the same numbers; specifications survive storage."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from priorvae.decoders import Decoder, jax_backend, numpy_backend
from priorvae.decoders.flax_backend import Constant, DecoderModule
from priorvae.decoders.layers import (
    ACTIVATIONS,
    KINDS,
    Activation,
    ConcatCondition,
    Dense,
    FiLM,
    Flatten,
    Gate,
    KernelAttention,
    Layer,
    LayerNorm,
    Mixture,
    Radial,
    Scale,
    SpatialGate,
    Sum,
    Tokens,
    layer_from_record,
)
from priorvae.decoders.layers.records import nested
from priorvae.errors import BundleError, ConditionError
from priorvae.processes.conditions import Condition

CONDITION = Condition("lengthscale", "km", 5.0, 200.0, "log", "loguniform")
OTHER = Condition("alpha", "", 0.0, 0.99, "log1m", "uniform")
LATENT, AREAS = 4, 6

STACKS: dict[str, tuple[tuple[Condition, ...], tuple[Layer, ...]]] = {
    "dense": ((), (Dense(AREAS),)),
    "linear": ((), (Dense(AREAS, bias=False),)),
    "gated": ((CONDITION,), (Dense(8, bias=False), Gate((5,)), Dense(AREAS, bias=False))),
    "gated by two": (
        (CONDITION, OTHER),
        (Dense(8, bias=False), Gate((3, 2)), Dense(AREAS, bias=False)),
    ),
    "mixture": ((CONDITION,), (Mixture(AREAS, 3, (4,)),)),
    "concat": ((CONDITION, OTHER), (ConcatCondition(), Dense(AREAS))),
    "film": ((CONDITION,), (Dense(7), FiLM((2,)), Activation("gelu"), Dense(AREAS))),
    "norm": ((), (Dense(7), LayerNorm(), Dense(AREAS))),
    "scale": ((), (Dense(AREAS, bias=False), Scale())),
    "radial": ((), (Radial(5), Dense(AREAS))),
    "residual": ((), (Dense(5), Sum(((), (Dense(4), Activation("tanh"), Dense(5)))), Dense(AREAS))),
    "sum of linear maps": (
        (CONDITION,),
        (
            Sum(
                (
                    (Dense(AREAS, bias=False),),
                    (Dense(8, bias=False), Gate((3,)), Dense(AREAS, False)),
                )
            ),
        ),
    ),
    "gated MLP": (
        (CONDITION,),
        (
            Dense(AREAS, bias=False),
            Tokens(AREAS, 2),
            Dense(4),
            Sum(((), (LayerNorm(), Dense(6), Activation("gelu"), SpatialGate(AREAS), Dense(4)))),
            Dense(1),
            Flatten(AREAS),
        ),
    ),
    "gated MLP, gates normalised": (
        (CONDITION,),
        (
            Dense(AREAS, bias=False),
            Tokens(AREAS, 2),
            Dense(6),
            SpatialGate(AREAS, normalise=True),
            Dense(1),
            Flatten(AREAS),
        ),
    ),
    "attention": (
        (CONDITION, OTHER),
        (
            Dense(AREAS, bias=False),
            Tokens(AREAS, 2),
            Dense(6),
            Sum(((), (LayerNorm(), KernelAttention(AREAS, 2, 3, (2, 1)), Dense(6)))),
            Dense(1),
            Flatten(AREAS),
        ),
    ),
    **{
        function: ((CONDITION,), (ConcatCondition(), Dense(7), Activation(function), Dense(AREAS)))
        for function in ACTIVATIONS
    },
}


@pytest.fixture(params=sorted(STACKS))
def decoder(request: pytest.FixtureRequest) -> Decoder:
    conditions, layers = STACKS[request.param]
    return Decoder(LATENT, AREAS, conditions, layers)


def random_weights(decoder: Decoder) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in decoder.shapes().items()}


def middle(decoder: Decoder) -> dict[str, float]:
    return {c.name: float(c.from_unit(0.3)) for c in decoder.conditions}


def test_every_kind_is_covered() -> None:
    used = {layer.kind for _, layers in STACKS.values() for layer in nested(layers)}
    assert used == set(KINDS)


def test_back_ends_agree(decoder: Decoder) -> None:
    weights, hyper = random_weights(decoder), middle(decoder)
    z = np.random.default_rng(1).normal(size=LATENT)
    exact = numpy_backend.decode(decoder, weights, z, hyper)
    double = jax_backend.decode(decoder, weights, jnp.asarray(z), hyper)
    single = jax_backend.decode(decoder, weights, jnp.asarray(z, jnp.float32), hyper)
    assert double.dtype == jnp.float64 and single.dtype == jnp.float32
    np.testing.assert_allclose(double, exact, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())
    module = DecoderModule(decoder, rngs=nnx.Rngs(0), weights=weights)
    unit = jnp.asarray([0.3] * len(decoder.conditions), jnp.float32)
    flax = module(jnp.asarray(z, jnp.float32), unit)
    np.testing.assert_allclose(flax, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


def test_records_survive_json(decoder: Decoder) -> None:
    records = json.loads(json.dumps(decoder.records()))
    again = Decoder.from_records(records, LATENT, AREAS, decoder.conditions)
    assert again == decoder


def test_batches_are_rows(decoder: Decoder) -> None:
    weights, hyper = random_weights(decoder), middle(decoder)
    z = np.random.default_rng(1).normal(size=(3, LATENT))
    rows = [numpy_backend.decode(decoder, weights, row, hyper) for row in z]
    np.testing.assert_allclose(numpy_backend.decode(decoder, weights, z, hyper), rows, rtol=1e-12)


def test_linear_is_what_it_says(decoder: Decoder) -> None:
    weights, hyper = random_weights(decoder), middle(decoder)
    a, b = np.random.default_rng(1).normal(size=(2, LATENT))

    def f(z: np.ndarray) -> np.ndarray:
        return numpy_backend.decode(decoder, weights, z, hyper)

    assert np.allclose(f(2 * a + b), 2 * f(a) + f(b)) == decoder.is_linear
    if decoder.is_linear:
        matrix = numpy_backend.matrix(decoder, weights, hyper)
        np.testing.assert_allclose(matrix @ a, f(a), rtol=1e-12)


def test_jit_vmap_grad(decoder: Decoder) -> None:
    weights, hyper = random_weights(decoder), middle(decoder)
    z = jnp.asarray(np.random.default_rng(1).normal(size=(3, LATENT)))

    def total(z: jax.Array, hyper: dict[str, jax.Array]) -> jax.Array:
        return jnp.sum(jax_backend.decode(decoder, weights, z, hyper) ** 2)

    values = {name: jnp.asarray(v) for name, v in hyper.items()}
    slopes = jax.jit(jax.vmap(jax.grad(total, argnums=(0, 1)), in_axes=(0, None)))(z, values)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_a_block_of_a_gated_mlp_by_hand() -> None:
    """Liu et al. (2021), section 2: Z = gelu(U X), Z = [a, b], Y = V (a * (W norm(b) + c)) + X."""
    block: tuple[Layer, ...] = (
        LayerNorm(), Dense(8), Activation("gelu"), SpatialGate(3, normalise=True), Dense(5),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    layer = Sum(((), block))
    w = {name: rng.normal(size=shape) for name, shape in layer.shapes(5, 0).items()}
    x = rng.normal(size=(3, 5))

    def norm(rows: np.ndarray) -> np.ndarray:
        moments = [(row.mean(), np.sqrt(row.var() + 1e-6)) for row in rows]
        return np.array([(row - m) / s for row, (m, s) in zip(rows, moments, strict=True)])

    hidden = (norm(x) * w["1.0.scale"] + w["1.0.bias"]) @ w["1.1.kernel"] + w["1.1.bias"]
    hidden = hidden * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    value, gate = hidden[:, :4], norm(hidden[:, 4:]) * w["1.3.scale"] + w["1.3.shift"]
    mixed = np.array([sum(w["1.3.kernel"][i, j] * gate[j] for j in range(3)) for i in range(3)])
    expected = (value * (mixed + w["1.3.bias"])) @ w["1.4.kernel"] + w["1.4.bias"] + x
    np.testing.assert_allclose(layer.apply(x, np.zeros(0), w), expected, rtol=1e-12)


def test_attention_averages_over_areas_by_a_kernel_of_their_distance() -> None:
    layer = KernelAttention(4, 2, 2, (1,))
    rng = np.random.default_rng(0)
    w = {name: rng.normal(size=shape) for name, shape in layer.shapes(6, 1).items()}
    unit, x = np.array([0.4]), rng.normal(size=(4, 6))
    shares = layer.attention(unit, w)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-12)
    expected = np.empty((4, 6))
    for head in range(2):
        strength, decay = (
            np.exp(w[name][0, head] + 0.4 * w[name][1, head]) for name in ("strength", "decay")
        )
        for i in range(4):
            square = [np.sum((w["places"][i] - w["places"][j]) ** 2) for j in range(4)]
            scores = strength * np.exp(-decay * np.array(square))
            weights = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(shares[head, i], weights, rtol=1e-12)
            own = slice(3 * head, 3 * head + 3)
            expected[i, own] = sum(weights[j] * x[j, own] for j in range(4))
    np.testing.assert_allclose(layer.apply(x, unit, w), expected, rtol=1e-12)


def test_attention_cannot_overflow() -> None:
    layer = KernelAttention(3, 1, 1, ())
    places = np.array([[0.0], [0.5], [1.0]])
    w = {"places": places, "strength": np.array([[9.0]]), "decay": np.array([[9.0]])}
    np.testing.assert_allclose(layer.attention(np.zeros(0), w)[0], np.eye(3), atol=1e-12)


def test_heads_divide_the_channels() -> None:
    with pytest.raises(BundleError, match="4 heads needs a multiple of as many channels, and 6"):
        KernelAttention(3, 2, 4, ()).width(6, 0)


def test_what_is_given_is_no_parameter_and_must_be_given() -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS["attention"])
    weights = random_weights(decoder)
    module = DecoderModule(decoder, rngs=nnx.Rngs(0), weights=weights)
    constants = {"layers.1.places", "layers.3.1.1.places"}
    parameters = set(nnx.state(module, nnx.Param)["weights"])
    assert parameters == set(decoder.shapes()) - constants
    assert all(isinstance(module.weights[name], Constant) for name in constants)
    with pytest.raises(ValueError, match=r"layers.1.places is a constant of the map"):
        DecoderModule(decoder, rngs=nnx.Rngs(0))


def test_theta_outside_the_range_is_refused_where_it_is_known() -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS["gated"])
    weights = random_weights(decoder)
    for decode in (numpy_backend.decode, jax_backend.decode):
        with pytest.raises(ConditionError, match="outside the trained range"):
            decode(decoder, weights, jnp.zeros(LATENT), {"lengthscale": 1000.0})  # type: ignore[operator]


def test_weights_must_fit_the_records() -> None:
    decoder = Decoder(LATENT, AREAS, *STACKS["gated"])
    weights = random_weights(decoder)
    decoder.check_weights(weights)
    with pytest.raises(BundleError, match=r"'layers.1.coefficients' is missing"):
        decoder.check_weights({k: v for k, v in weights.items() if "coeff" not in k})
    with pytest.raises(BundleError, match=r"'extra' is not in the records"):
        decoder.check_weights({**weights, "extra": np.zeros(1)})
    with pytest.raises(BundleError, match=r"has shape \(8, 4\), its layer needs \(4, 8\)"):
        decoder.check_weights({**weights, "layers.0.kernel": weights["layers.0.kernel"].T})
    with pytest.raises(BundleError, match="not finite"):
        decoder.check_weights({**weights, "layers.0.kernel": np.full((4, 8), np.nan)})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"kind": "dens", "units": 3}, "unknown layer kind 'dens'.*did you mean 'dense'"),
        ({"kind": "dense"}, "fields do not fit"),
        ({"kind": "dense", "units": 3, "size": 1}, "fields do not fit"),
        ({"kind": "dense", "units": "3"}, "whole numbers"),
        ({"kind": "activation", "function": "eluu"}, "did you mean 'elu'"),
    ],
)
def test_malformed_records_are_refused(record: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        layer_from_record(record)


def test_layers_must_end_with_the_areas() -> None:
    with pytest.raises(BundleError, match="end with 5 outputs, and there are 6 areas"):
        Decoder(LATENT, AREAS, (), (Dense(5),))
    with pytest.raises(BundleError, match="degrees"):
        Decoder(LATENT, AREAS, (CONDITION, OTHER), (Mixture(AREAS, 2, (3,)),))
