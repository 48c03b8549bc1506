"""Templates of programs."""

from __future__ import annotations

import jinja2

__all__ = ["template"]


def template(name: str) -> jinja2.Template:
    """Return a template of this room: its text is code, so that nothing is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("priorvae.export", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)
