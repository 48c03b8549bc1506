"""What `model: {type: auto}` chose, and why."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from priorvae.config.section import Section

__all__ = ["AlternativeConfig", "ChoiceConfig"]


class AlternativeConfig(Section):
    """A method other than the decoder that was chosen.

    Attributes:
        name: What it is called.
        advice: What it would take here, in plain words.
        better: Whether it would serve this map better than a learnt decoder.
    """

    name: str
    advice: str
    better: bool


class ChoiceConfig(Section):
    """The record of a choice: a run writes it into its resolved configuration.

    Attributes:
        headline: What was chosen, in a few words.
        given: Keys of `training` that the user gave, with their values; they were kept.
        reasons: Why, a sentence or two each.
        alternatives: What else would do, or would not.
    """

    headline: str
    given: dict[str, Any] = Field(default_factory=dict)
    reasons: tuple[str, ...]
    alternatives: tuple[AlternativeConfig, ...] = ()

    @property
    def better(self) -> tuple[AlternativeConfig, ...]:
        """The methods that would serve this map better."""
        return tuple(other for other in self.alternatives if other.better)

    @property
    def considered(self) -> tuple[AlternativeConfig, ...]:
        """The methods that would not."""
        return tuple(other for other in self.alternatives if not other.better)

    def text(self) -> str:
        """Return the choice as lines for a terminal or a card."""
        lines = [f"Chosen: {self.headline}", *(f"- {reason}" for reason in self.reasons)]
        for title, others in (
            ("Better for this map", self.better),
            ("Also considered", self.considered),
        ):
            if others:
                lines += [f"{title}:", *(f"- {o.name}: {o.advice}" for o in others)]
        return "\n".join(lines)
