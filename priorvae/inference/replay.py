"""A fit's draws once more, with other fields in the decoder's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from priorvae.inference.regression import EFFECT, build_model
from priorvae.inference.sampling import Fit

if TYPE_CHECKING:
    import jax

    from priorvae.processes.conditions import Condition

__all__ = ["Replay", "replay"]


class Replay(NamedTuple):
    """What a regression model makes of draws whose fields were replaced."""

    log_density: np.ndarray
    """Joint log density of data and parameters, `(draw,)`, float64."""
    quantities: dict[str, np.ndarray]
    """What follows from the parameters (`f`, `mu`, `risk`, `Intercept`...), `(draw, ...)` each."""


@dataclass(frozen=True)
class _Given:
    """A spatial prior whose field is given, whatever its latents."""

    sites: tuple[str, ...]
    latent_dim: int
    conditions: tuple[Condition, ...]
    field: Any

    def decode(self, z: jax.Array, hyper: Mapping[str, Any]) -> jax.Array:
        """Return the field."""
        return self.field


def replay(fit: Fit, conditions: tuple[Condition, ...], fields: np.ndarray) -> Replay:
    """Evaluate a fit's model at its own draws, with other fields.

    All that was sampled is kept, the latents among it; what follows from the field is made anew.

    Args:
        fit: The fit.
        conditions: Hyperparameters of its spatial prior.
        fields: Unit-scale fields, `(draw, area)`, the chains' draws one after the other.
    """
    import jax
    import jax.numpy as jnp
    from numpyro import handlers
    from numpyro.infer.util import log_density

    latents = fit.draws(f"{EFFECT}_z").shape[-1]

    def model(field: Any) -> Any:
        prior = _Given(fit.data.area_ids, latents, conditions, field)
        return build_model(fit.data, prior, fit.priors)

    def evaluate(draw: dict[str, Any], field: Any) -> tuple[Any, dict[str, Any]]:
        value, trace = log_density(model(field), (), {}, draw)
        followed = {n: s["value"] for n, s in trace.items() if s["type"] == "deterministic"}
        return value, followed

    with jax.enable_x64(True):
        trace = handlers.trace(handlers.seed(model(fields[0]), jax.random.key(0))).get_trace()
        sampled = [n for n, s in trace.items() if s["type"] == "sample" and not s["is_observed"]]
        draws = {name: jnp.asarray(_pooled(fit.draws(name)), dtype=float) for name in sampled}
        density, found = jax.jit(jax.vmap(evaluate))(draws, jnp.asarray(fields))
        return Replay(np.asarray(density), {n: np.asarray(v) for n, v in found.items()})


def _pooled(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(-1, *draws.shape[2:])
