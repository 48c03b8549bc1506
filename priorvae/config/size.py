"""Sizes that a configuration gives as a number, or leaves to the program."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

__all__ = ["Size", "Widths"]


def _size(value: Any) -> Any:
    """Refuse what is neither a positive whole number nor `auto`, in one message."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError("must be a positive whole number or `auto`")


def _widths(value: Any) -> Any:
    """Accept one width or a list of them."""
    return (
        tuple(_size(width) for width in value) if isinstance(value, list | tuple) else _size(value)
    )


Size = Annotated[int | Literal["auto"], BeforeValidator(_size)]
Widths = Annotated[int | tuple[int, ...] | Literal["auto"], BeforeValidator(_widths)]
