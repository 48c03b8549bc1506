"""What running a decoder costs: counted by hand, and flagged where others found it slow."""

import numpy as np
import pytest

from priorvae.decoders import Decoder
from priorvae.decoders.engines import engine_notes, multiplications
from priorvae.decoders.layers import (
    Activation,
    ConcatCondition,
    Dense,
    Flatten,
    KernelAttention,
    Layer,
    LayerNorm,
    SpatialGate,
    Sum,
    Tokens,
)
from priorvae.processes.conditions import Condition

CONDITION = Condition("lengthscale", "km", 5.0, 200.0, "log", "loguniform")


def published_mlp(areas: int) -> Decoder:
    """Navott et al.'s: one hidden layer as wide as the map."""
    layers = (ConcatCondition(), Dense(areas), Activation("relu"), Dense(areas))
    return Decoder(areas, areas, (CONDITION,), layers)


def published_gmlp(areas: int) -> Decoder:
    """Navott et al.'s: two blocks of 64 channels, 128 within."""

    def projection(width: int) -> tuple[Layer, ...]:
        return (Dense(width), Activation("gelu"), Dense(width))

    gate = SpatialGate(areas, normalise=True)
    block = Sum(((), (LayerNorm(), *projection(128), gate, *projection(64))))
    head = (LayerNorm(), Dense(128), Activation("gelu"), Dense(1), Flatten(areas))
    layers = (Tokens(areas, 2), *projection(64), block, block, *head)
    return Decoder(areas, areas, (CONDITION,), layers)


def flags(decoder: Decoder) -> dict[str, bool]:
    return {note.engine: note.efficient for note in engine_notes(decoder)}


def test_multiplications_of_a_perceptron() -> None:
    assert multiplications(published_mlp(256)) == 257 * 256 + 256 + 256 * 256 + 256


def test_multiplications_of_a_block_over_areas() -> None:
    layers = (
        Tokens(5, 2),
        Dense(6, bias=False),
        SpatialGate(5),
        KernelAttention(5, 2, 3, (2,)),
        Dense(1, bias=False),
        Flatten(5),
    )
    by_hand = 5 * (4 * 6) + 5 * 5 * 3 + 5 * 5 * (3 + 8 * 3) + 5 * 3
    assert multiplications(Decoder(5, 5, (CONDITION,), layers)) == by_hand


def test_the_published_gated_perceptron_is_flagged_in_stan_and_the_plain_one_is_not() -> None:
    """At 256 areas one took 138 minutes and the other 42 s."""
    assert flags(published_mlp(256)) == dict.fromkeys(("numpyro", "pymc", "stan", "brms"), True)
    slow = flags(published_gmlp(256))
    assert not slow["stan"] and not slow["brms"]
    notes = {note.engine: note.note for note in engine_notes(published_gmlp(256))}
    assert "use NumPyro, or train a smaller structure" in notes["stan"]
    minutes = float(notes["stan"].split("about ")[1].split(" minutes")[0])
    assert minutes == pytest.approx(138, rel=0.15)
    seconds = {note.engine: note.note for note in engine_notes(published_mlp(256))}["stan"]
    assert float(seconds.split("about ")[1].split(" s")[0]) == pytest.approx(42, rel=0.05)


def test_a_network_dearer_than_a_factorisation_is_flagged_in_numpyro() -> None:
    """On a small map only: what it costs grows as n^2, a factorisation as n^3."""
    assert not flags(published_gmlp(159))["numpyro"]
    assert flags(published_gmlp(1000))["numpyro"]
    note = engine_notes(published_gmlp(159))[0]
    assert "exact inference is faster on this map" in note.note
    share = multiplications(published_gmlp(159)) / 3 / (0.5 * 159**3)
    assert np.isclose(float(note.note.split("about ")[1].split(" times")[0]), share, rtol=0.05)
