"""Attention over areas whose scores are a kernel of their distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from priorvae.decoders.layers.base import Layer, Shapes, Starts
from priorvae.errors import BundleError
from priorvae.processes import chebyshev

__all__ = ["KernelAttention"]


@final
@dataclass(frozen=True)
class KernelAttention(Layer):
    """`W_h(u) x_h` for each head `h`, a share of the channels: areas attend to areas near them.

    The weights are `W_h(u) = softmax_j(a_h k_ij)`, `k_ij = exp(-b_h |p_i - p_j|^2)`, with places
    `p` that stay as they are. The conditions turn the strength and the decay of every head,
    `a_h = exp(T(u) A_h)` and `b_h = exp(T(u) B_h)`. The scores do not depend on `x`, so that the
    layer is linear in it.

    Source: Vaswani et al. (2017), Attention is all you need, NeurIPS, section 3.2, with a kernel in
    the place of the product of queries and keys, as for the attention of DeepRV (Navott et al.
    2025), whose scores are `K_theta` itself.

    Attributes:
        areas: Number of areas.
        places: Coordinates of a place, such as 2.
        heads: Number of heads; divides the channels.
        degrees: Chebyshev degree in each condition.
    """

    areas: int
    places: int
    heads: int
    degrees: tuple[int, ...]
    kind: ClassVar[str] = "kernel-attention"
    starts: ClassVar[Starts] = {"places": "given", "strength": "constant", "decay": "constant"}

    def width(self, width_in: int, num_conditions: int) -> int:
        """Return the channels.

        Raises:
            BundleError: The heads do not divide them.
        """
        if self.heads < 1 or width_in % self.heads:
            raise BundleError(
                f"a kernel-attention of {self.heads} heads needs a multiple of as many channels, "
                f"and {width_in} come in"
            )
        return width_in

    def shapes(self, width_in: int, num_conditions: int) -> Shapes:
        """Return the shapes of the constant `places`, of `strength` and of `decay`."""
        series = (chebyshev.size(self.degrees), self.heads)
        return {"places": (self.areas, self.places), "strength": series, "decay": series}

    def attention(self, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return the weights of each head, `(head, area, area)`; every row sums to one."""
        xp = unit.__array_namespace__()
        basis = chebyshev.features(unit, self.degrees)
        strength, decay = (xp.exp(basis @ weights[name]) for name in ("strength", "decay"))
        places = weights["places"]
        square = xp.sum((places[:, None, :] - places[None, :, :]) ** 2, axis=-1)
        kernel = xp.exp(-decay[:, None, None] * square)
        # An area's own score is the largest, and its kernel 1: softmax cannot overflow.
        shares = xp.exp(strength[:, None, None] * (kernel - 1))
        return shares / xp.sum(shares, axis=-1, keepdims=True)

    def apply(self, x: Any, unit: Any, weights: Mapping[str, Any]) -> Any:
        """Return each head's channels averaged by its weights, `(..., area, channel)`."""
        xp = x.__array_namespace__()
        split = x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)
        mixed = self.attention(unit, weights) @ xp.moveaxis(split, -2, -3)
        return xp.moveaxis(mixed, -3, -2).reshape(x.shape)

    @property
    def is_linear(self) -> bool:
        """Linear in `x`."""
        return True
