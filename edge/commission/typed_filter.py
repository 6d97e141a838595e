"""A filter that a person types into, on a screen of lines. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 60
"""Characters of a filter."""


@dataclass(slots=True)
class TypedFilter:
    """What is filtered by, and whether keys go into it at the moment."""

    pattern: str = ""
    typing: bool = False

    def type(self, key: str, character: str | None) -> None:
        """Take a key while typing."""
        if key == "enter":
            self.typing = False
        elif key in ("escape", "ctrl+c"):
            self.typing, self.pattern = False, ""
        elif key == "backspace":
            self.pattern = self.pattern[:-1]
        elif character is not None and character.isprintable() and len(self.pattern) < LONGEST:
            self.pattern += character
