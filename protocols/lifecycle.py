"""Lifecycles as tables: which event leads from which state to which, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class IllegalTransitionError(ValueError):
    """An event that its object's state does not allow."""

    def __init__(self, lifecycle: str, object_id: str, state: str, event: str, allowed: list[str]) -> None:
        self.lifecycle, self.object_id, self.state, self.event, self.allowed = (
            lifecycle,
            object_id,
            state,
            event,
            allowed,
        )
        choices = ", ".join(allowed) or "nothing: it has ended"
        super().__init__(
            f'{lifecycle} {object_id} is {state}: "{event}" is not possible now (possible: {choices})'
        )


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[S, E]):
    """A transition table. States with no way out are final."""

    name: str
    initial: S
    table: Mapping[tuple[S, E], S]

    def next(self, object_id: str, state: S, event: E) -> S:
        """State after ``event``; raises IllegalTransitionError naming object, state, event and choices."""
        try:
            return self.table[state, event]
        except KeyError:
            raise IllegalTransitionError(self.name, object_id, state, event, self.allowed(state)) from None

    def allowed(self, state: S) -> list[str]:
        """Events possible in ``state``, in table order."""
        return [str(event) for (at, event) in self.table if at == state]

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram, for the docs."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        lines += [f"    {at} --> {to}: {event}" for (at, event), to in self.table.items()]
        return "\n".join(lines) + "\n"
