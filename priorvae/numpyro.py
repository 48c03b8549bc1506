"""What a NumPyro modeller imports: the spatial effect."""

from priorvae.inference.effect import spatial_effect

__all__ = ["spatial_effect"]
