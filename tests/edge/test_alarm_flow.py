"""A flood of alarms is held back and counted; what stands and what is severe is not lost in it."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from edge.alarm_flow import BURST, EVERY, KNOWN, SEVERE, SEVERE_TOLD, TOLD, AlarmFlow
from protocols.states import AlarmChanged, Event, MachineStateChanged
from protocols.states import ItemState as Item
from protocols.states import OperationMode as Mode
from protocols.values import MICROSECONDS as S

STEP = int(EVERY * S)


def change(
    name: str, active: bool = True, *, severity: int = 500, acknowledged: bool = False
) -> AlarmChanged:
    return AlarmChanged(1, "press-1", name, active, "hot", severity, acknowledged)


def changes(events: list[Event]) -> list[AlarmChanged]:
    return [event for event in events if isinstance(event, AlarmChanged)]


def names(events: list[Event]) -> list[str]:
    return [event.alarm for event in changes(events)]


def test_ordinary_alarms_pass_at_once_and_in_order_with_the_rest() -> None:
    flow = AlarmFlow()
    state = MachineStateChanged(1, "press-1", Item.EXECUTING, Mode.PROCESSING)
    acknowledged, ended = change("a", acknowledged=True), change("a", False, acknowledged=True)
    events: list[Event] = [change("a"), state, acknowledged, ended]
    assert flow.through(events, S) == events
    assert (flow.standing, flow.untold, flow.waited(2 * S)) == (0, 0, [])


def test_an_alarm_that_toggles_for_a_day_costs_one_change_in_five_seconds() -> None:
    flow, told = AlarmFlow(), 0
    seconds = 3600
    for second in range(seconds):
        for half in (True, False):
            told += len(flow.through([change("contact", half)], second * S))
        told += len(flow.waited(second * S))
    most = 2 * (BURST + seconds / EVERY)
    assert told <= most
    assert flow.untold >= 2 * seconds - most
    assert flow.standing == 0


def test_what_could_not_be_told_comes_when_there_is_room_the_severe_first() -> None:
    flow = AlarmFlow()
    flood: list[Event] = [change(f"n{number}", severity=1 + number) for number in range(BURST + 20)]
    assert len(flow.through(flood, S)) == BURST
    assert flow.standing == BURST + 20
    assert flow.waited(S + 1) == []
    assert names(flow.waited(S + STEP)) == [f"n{BURST + 19}"]
    assert names(flow.waited(S + 3 * STEP)) == [f"n{BURST + 18}", f"n{BURST + 17}"]
    # one that ends meanwhile needs no word: nobody has heard of it
    assert flow.through([change("n100", False)], S + 4 * STEP) == []
    assert flow.untold == 2
    assert "n100" not in names(flow.waited(S + 1000 * STEP))
    assert flow.standing == BURST + 19


def test_the_end_of_what_was_told_is_told_whatever_else_happens() -> None:
    flow = AlarmFlow()
    flow.through([change(f"n{number}") for number in range(BURST)], S)
    ends = flow.through([change(f"n{number}", False) for number in range(BURST)], S)
    assert len(ends) == BURST
    assert flow.standing == 0


def test_so_many_stand_for_the_cloud_and_severe_ones_have_room_of_their_own() -> None:
    flow, now = AlarmFlow(), S
    told: set[str] = set()
    for number in range(SEVERE_TOLD + 50):
        told |= set(names(flow.through([change(f"n{number}")], now := now + STEP)))
    assert len(told) == TOLD
    severe = [change(f"fire{number}", severity=SEVERE) for number in range(SEVERE_TOLD)]
    for event in severe:
        told |= set(names(flow.through([event], now := now + STEP)))
    assert len(told) == SEVERE_TOLD
    assert "fire0" in told
    assert flow.standing == 2 * SEVERE_TOLD + 50


def test_no_more_are_kept_in_mind_than_so_many() -> None:
    flow = AlarmFlow()
    flow.through([change(f"n{number}") for number in range(2 * KNOWN)], S)
    assert len(flow._known) == KNOWN
    assert flow.untold == KNOWN


def test_one_that_stood_before_a_restart_ends_once() -> None:
    flow = AlarmFlow()
    flow.resume({"door": "open"}, "press-1", S)
    assert flow.standing == 1
    assert names(flow.through([change("door", False)], 2 * S)) == ["door"]
    assert flow.standing == 0


def test_what_a_trial_heard_is_told_once_it_counts() -> None:
    flow = AlarmFlow()
    assert flow.through([change("door")], S, hold=True) == []
    assert names(flow.waited(2 * S)) == ["door"]
    successor = AlarmFlow()
    successor.take_over(flow)
    assert names(successor.through([change("door", False)], 3 * S)) == ["door"]
    assert dataclasses.asdict(flow)["standing"] == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.booleans(),
            st.booleans(),
            st.sampled_from((0, 1, 900)),
            st.integers(0, 9),
        ),
        max_size=400,
    )
)
def test_once_it_is_quiet_whoever_was_told_knows_all_that_stands(
    script: list[tuple[str, bool, bool, int, int]],
) -> None:
    flow, now, before = AlarmFlow(), S, 0
    follower: dict[str, tuple[bool, bool, int]] = {}
    truth: dict[str, tuple[bool, bool, int]] = {}
    heard, flow._left = 0, 3.0  # a flood from the beginning
    for name, active, acknowledged, severity, tenths in script:
        now += tenths * S // 10
        event = change(name, active, severity=severity, acknowledged=acknowledged)
        if truth.get(name) == (active, acknowledged, severity):
            continue  # a machine says nothing twice: see ``edge.alarms``
        if name not in truth and not active:
            continue
        truth[name] = (active, acknowledged, severity)
        before += 1
        for told in changes([*flow.through([event], now), *flow.waited(now)]):
            heard += 1
            follower[told.alarm] = (told.active, told.acknowledged, told.severity)
    for told in changes(flow.waited(now + 1000 * STEP)):
        heard += 1
        follower[told.alarm] = (told.active, told.acknowledged, told.severity)
    standing = {name: state for name, state in truth.items() if state[0]}
    assert {name: state for name, state in follower.items() if state[0]} == standing
    assert flow.standing == len(standing)
    assert heard + flow.untold == before
