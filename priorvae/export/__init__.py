"""What other engines read: a bundle's decoder in their language."""

from priorvae.export.engines import ENGINES, export_bundle

__all__ = ["ENGINES", "export_bundle"]
