"""The decoder: layer records, and one file for each back end that interprets them."""

from priorvae.decoders.spec import Decoder, Weights

__all__ = ["Decoder", "Weights"]
