"""Operations under other names: the predecessors, and whatever is said about each of them, go along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from cloud.dispatching.shop.problem import Operation, State

BY_PREDECESSOR = ("lags", "max_lags", "overlaps")
"""What an operation says about each of its predecessors."""


def waiting_for(
    operation: Operation,
    predecessors: Callable[[str], Iterable[str]],
    *,
    pieces: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The fields of ``operation`` that name predecessors, with each of those replaced by others.

    ``pieces`` is how many a new predecessor has; work that overlaps waits for no more of them.
    """
    there = pieces or {}
    instead = {name: tuple(predecessors(name)) for name in operation.predecessors}
    fields: dict[str, Any] = {"predecessors": tuple(new for names in instead.values() for new in names)}
    for field in BY_PREDECESSOR:
        said: Mapping[str, int] = getattr(operation, field)
        fields[field] = {
            new: min(value, there.get(new, value)) if field == "overlaps" else value
            for name, value in said.items()
            for new in instead.get(name, ())
        }
    return fields


def undecided(operation: Operation, **fields: Any) -> Operation:
    """``operation`` as if nobody had begun or decided anything of it."""
    return replace(operation, state=State.FREE, machine=None, start=None, remaining=None, pin=None, **fields)
