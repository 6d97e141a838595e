"""Every lifecycle as a table: complete, without dead corners, and with errors that say what is possible."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import lifecycles
from protocols.lifecycle import IllegalTransitionError, Lifecycle

ALL: dict[str, Lifecycle[Any, Any]] = {
    name: value for name, value in vars(lifecycles).items() if isinstance(value, Lifecycle)
}
every_lifecycle = pytest.mark.parametrize("lifecycle", ALL.values(), ids=ALL)

FINAL: dict[str, set[str]] = {
    "operation": set(),
    "run": {"aborted"},
    "order": {"cancelled"},
    "case": {"closed"},
    "andon": {"cleared"},
    "lock": set(),
    "command": {"done", "refused", "failed", "expired"},
    "nonconformance": {"withdrawn"},
}
"""States that nothing leaves, by lifecycle: to end up elsewhere for good is a mistake in the table. Of an
operation there is none: corrections reopen what is finished and restore what nothing had reached. Of a lock
there is none, either: what is free may be locked again. A nonconformance that was closed may
be opened again.
"""
ENDS = FINAL | {
    "operation": {"finished", "cancelled"},
    "lock": {"free"},
    "nonconformance": {"closed", "withdrawn"},
}


def enums_of(lifecycle: Lifecycle[Any, Any]) -> tuple[type[StrEnum], type[StrEnum]]:
    state, event = next(iter(lifecycle.table))
    return type(state), type(event)


def reachable(lifecycle: Lifecycle[Any, Any], start: StrEnum) -> set[StrEnum]:
    found, new = {start}, [start]
    while new:
        at = new.pop()
        for (state, _), to in lifecycle.table.items():
            if state == at and to not in found:
                found.add(to)
                new.append(to)
    return found


def test_all_lifecycles_are_here() -> None:
    assert {lifecycle.name for lifecycle in ALL.values()} == set(FINAL)


@every_lifecycle
def test_every_state_can_be_reached(lifecycle: Lifecycle[Any, Any]) -> None:
    states, _ = enums_of(lifecycle)
    assert reachable(lifecycle, lifecycle.initial) == set(states)


@every_lifecycle
def test_every_event_leads_somewhere(lifecycle: Lifecycle[Any, Any]) -> None:
    _, events = enums_of(lifecycle)
    assert {event for _, event in lifecycle.table} == set(events)


@every_lifecycle
def test_only_the_final_states_have_no_way_out(lifecycle: Lifecycle[Any, Any]) -> None:
    states, _ = enums_of(lifecycle)
    assert {state for state in states if not lifecycle.allowed(state)} == FINAL[lifecycle.name]


@every_lifecycle
def test_from_everywhere_there_is_a_way_to_an_end(lifecycle: Lifecycle[Any, Any]) -> None:
    states, _ = enums_of(lifecycle)
    for state in states:
        assert reachable(lifecycle, state) & ENDS[lifecycle.name], f"{state} can never end"


@every_lifecycle
@settings(deadline=None)
@given(data=st.data())
def test_what_the_table_does_not_have_is_refused(lifecycle: Lifecycle[Any, Any], data: st.DataObject) -> None:
    states, events = enums_of(lifecycle)
    state, event = data.draw(st.sampled_from(states)), data.draw(st.sampled_from(events))
    if event in lifecycle.allowed(state):
        assert lifecycle.next("x-1", state, event) is lifecycle.table[state, event]
        return
    with pytest.raises(IllegalTransitionError) as refused:
        lifecycle.next("x-1", state, event)
    error = refused.value
    assert (error.lifecycle, error.object_id, error.state, error.event) == (
        lifecycle.name,
        "x-1",
        state,
        event,
    )
    assert error.allowed == lifecycle.allowed(state)


def test_refusal_says_what_is_possible() -> None:
    with pytest.raises(IllegalTransitionError) as refused:
        lifecycles.RUN.next("run-7", lifecycles.RunState.SETUP, lifecycles.RunEvent.PAUSE)
    assert str(refused.value) == (
        'run run-7 is setup: "pause" is not possible now (possible: first-piece, start, abort)'
    )
    with pytest.raises(IllegalTransitionError, match=r"possible: nothing: it has ended"):
        lifecycles.ANDON.next("a", lifecycles.AndonState.CLEARED, lifecycles.AndonEvent.CLEAR)


@every_lifecycle
def test_diagram_shows_every_transition_once(lifecycle: Lifecycle[Any, Any]) -> None:
    first, start, *arrows = lifecycle.mermaid().splitlines()
    assert first == "stateDiagram-v2"
    assert start == f"    [*] --> {lifecycle.initial}"
    assert sorted(arrows) == sorted(
        f"    {state} --> {to}: {event}" for (state, event), to in lifecycle.table.items()
    )


def test_words_of_a_wire_state_are_those_of_the_lifecycle() -> None:
    """States travel as text; a renamed one would strand what is stored."""
    assert [state.value for state in lifecycles.RunState] == [
        "queued",
        "setup",
        "first-piece",
        "running",
        "paused",
        "completed",
        "aborted",
    ]
