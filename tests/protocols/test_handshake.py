"""A load is never released that its taker does not sense, whatever comes in which order, or does not come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocols.handshake import (
    HANDSHAKE,
    MAY_LEAVE,
    Handshake,
    Kind,
    Signals,
    Step,
    advanced,
    late,
    release,
)
from protocols.site_graph import Within
from protocols.values import MICROSECONDS

T0 = 1_000 * MICROSECONDS
KNOWN = st.none() | st.booleans()
SIGNALS = st.builds(Signals, KNOWN, KNOWN, KNOWN, KNOWN, KNOWN)


def begun(kind: Kind, *, signalled: bool = True) -> Handshake:
    return Handshake("m", kind, "laser-1", "agv-1", "brake-1", T0, signalled=signalled)


STORIES = {
    Kind.PICK: [
        (Signals(False, False, True, False, False), Step.WAITING, False),
        (Signals(True, False, True, False, False), Step.READY, False),
        (Signals(True, True, True, False, False), Step.DOCKED, False),
        (Signals(False, True, True, False, False), Step.DOCKED, False),
        (Signals(True, True, True, True, False), Step.SENSED, True),
        (Signals(True, True, True, True, True), Step.RELEASED, True),
        (Signals(True, None, False, True, True), Step.RELEASED, True),
        (Signals(True, False, False, True, True), Step.LEFT, False),
        (Signals(True, False, False, True, False), Step.CLEAR, False),
    ],
    Kind.DROP: [
        (Signals(False, False, False, True, False), Step.WAITING, False),
        (Signals(True, True, False, True, False), Step.DOCKED, False),
        (Signals(True, True, True, True, False), Step.SENSED, True),
        (Signals(True, True, True, False, True), Step.RELEASED, True),
        (Signals(True, False, True, False, True), Step.LEFT, False),
        (Signals(True, False, True, False, False), Step.CLEAR, False),
    ],
}


@pytest.mark.parametrize("kind", list(Kind))
def test_it_goes_from_step_to_step(kind: Kind) -> None:
    at = begun(kind)
    for signals, step, on in STORIES[kind]:
        at = advanced(at, signals, T0)
        assert (at.step, release(at, signals)) == (step, on)


def test_a_station_without_release_signal_needs_none() -> None:
    at = begun(Kind.DROP, signalled=False)
    for signals, _, _ in STORIES[Kind.DROP][:3]:
        at = advanced(at, signals, T0)
    assert at.step is Step.RELEASED


@given(st.sampled_from(Kind), st.booleans(), st.lists(st.tuples(SIGNALS, st.booleans()), max_size=40))
def test_no_order_and_no_loss_of_signals_releases_what_the_taker_does_not_sense(
    kind: Kind, signalled: bool, story: list[tuple[Signals, bool]]
) -> None:
    at, seen = begun(kind, signalled=signalled), []
    for signals, wanted in story:
        before, at = at, advanced(at, signals, T0, wanted=wanted)
        seen.append(signals)
        if release(at, signals) and at.step is not Step.RELEASED:
            assert at.taker(signals) is True
        if at.step in MAY_LEAVE and before.step not in MAY_LEAVE and wanted:
            assert at.taker(signals) is True, "its taker does not have it"
            assert any(at.giver(each) is True for each in seen), "its giver never had it"
            assert any(at.taker(each) is False for each in seen), "its taker was never empty"
            assert any(each.docked is True for each in seen)
            assert any(each.ready is True for each in seen)
            assert not signalled or signals.release is True


@given(st.sampled_from(Kind), st.lists(SIGNALS, max_size=20))
def test_what_is_unknown_moves_nothing_on(kind: Kind, story: list[Signals]) -> None:
    at = begun(kind)
    for signals in story:
        at = advanced(at, signals, T0)
    order = list(Step)
    assert order.index(advanced(at, Signals(), T0).step) <= order.index(at.step)


@given(SIGNALS)
def test_a_taker_that_always_senses_a_load_never_gets_one(signals: Signals) -> None:
    at = begun(Kind.PICK)
    stuck = replace(signals, vehicle=True)
    for _ in range(8):
        at = advanced(at, stuck, T0)
    assert at.step not in MAY_LEAVE and at.step is not Step.SENSED


def test_every_step_can_be_reached_and_left() -> None:
    assert set(HANDSHAKE.table.values()) | {HANDSHAKE.initial} == set(Step)
    assert {at for at, _ in HANDSHAKE.table} == set(Step) - {Step.CLEAR, Step.GIVEN_UP}


def test_nobody_wants_it_any_more_and_the_release_is_withdrawn() -> None:
    at = begun(Kind.PICK)
    for signals, _, _ in STORIES[Kind.PICK][:5]:
        at = advanced(at, signals, T0)
    on = Signals(True, True, True, True, True)
    at = replace(at, step=Step.SENSED)
    at = advanced(at, on, T0, wanted=False)
    assert (at.step, release(at, on)) == (Step.LEFT, False)
    assert advanced(at, replace(on, release=False), T0, wanted=False).step is Step.CLEAR
    assert advanced(begun(Kind.PICK), on, T0, wanted=False).step is Step.GIVEN_UP


@pytest.mark.parametrize("step", [step for step in Step if step not in (Step.CLEAR, Step.GIVEN_UP)])
def test_each_step_calls_a_person_when_its_time_is_over(step: Step) -> None:
    at = replace(begun(Kind.DROP), step=step)
    within = Within(ready=1, docked=1, sensed=1, released=1, clear=1)
    assert late(at, within, T0 + MICROSECONDS) == ""
    assert "drop at laser-1" in late(at, within, T0 + MICROSECONDS + 1)
