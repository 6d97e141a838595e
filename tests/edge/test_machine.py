"""Machine states, alarms and stops from tags with roles. Pure."""

from collections.abc import Callable

import pytest

from drivers.profile.files import check_profile
from edge.machine import MachineWatch, OpenStop, watched_tags
from protocols.documents import parse
from protocols.states import (
    AlarmChanged,
    ItemState,
    MachineStateChanged,
    OperationMode,
    StopClosed,
    StopOpened,
)
from tests.edge.machines import press

S = 1_000_000


def watch(
    busy: Callable[[str], bool] = lambda _: False, stops: dict[str, OpenStop] | None = None
) -> MachineWatch:
    ids = iter(range(1, 100))
    made = MachineWatch("press-1", press(), {"cell-1": 5.0}, lambda: f"s{next(ids)}", busy, stops or {})
    made.connection(connected=True, ts=S)
    return made


def test_a_state_is_reported_when_it_changes_and_not_before() -> None:
    machine = watch()
    assert machine.value("state", 3, 10 * S) == [
        MachineStateChanged(10 * S, "press-1", ItemState.EXECUTING, OperationMode.PROCESSING, "running")
    ]
    assert machine.value("state", 3, 11 * S) == []
    assert machine.value("load", 3.0, 11 * S) == []
    assert machine.seen.since == 10 * S


def test_a_state_that_the_profile_does_not_know_is_named() -> None:
    (event,) = watch().value("state", 17, 10 * S)
    assert isinstance(event, MachineStateChanged)
    assert event.item_state is ItemState.NOT_AVAILABLE
    assert event.detail == "state 17 is not in the profile"


@pytest.mark.parametrize(("raw", "hint"), [(4, "fault"), (5, "jam")])
def test_a_stop_opens_after_the_micro_stop_threshold_since_it_began(raw: int, hint: str) -> None:
    machine = watch()
    machine.value("state", 3, 10 * S)
    machine.value("state", raw, 20 * S)
    assert machine.tick(24 * S) == []
    assert machine.tick(25 * S) == [StopOpened(20 * S, "s1", "press-1", "cell-1", hint)]
    assert machine.tick(26 * S) == []
    assert machine.value("state", 3, 30 * S)[1:] == [StopClosed(30 * S, "s1")]
    assert machine.tick(60 * S) == []


def test_a_micro_stop_is_no_stop() -> None:
    machine = watch()
    machine.value("state", 4, 20 * S)
    machine.value("state", 3, 24 * S)
    assert machine.tick(90 * S) == []


def test_standing_idle_is_a_stop_only_while_a_run_is_in_hand() -> None:
    busy: set[str] = set()
    machine = watch(busy=busy.__contains__)
    machine.value("state", 1, 20 * S)
    assert machine.tick(60 * S) == []
    busy.add("cell-1")
    assert machine.tick(61 * S) == [StopOpened(20 * S, "s1", "press-1", "cell-1", "")]


@pytest.mark.parametrize("raw", [0, 2])
def test_off_and_setup_are_no_stops(raw: int) -> None:
    machine = watch(busy=lambda _: True)
    machine.value("state", raw, 20 * S)
    assert machine.tick(90 * S) == []


def test_a_stop_outlives_a_lost_connection_and_a_restart() -> None:
    machine = watch()
    machine.value("state", 4, 20 * S)
    machine.tick(25 * S)
    (lost,) = machine.connection(connected=False, ts=30 * S)
    assert lost == MachineStateChanged(
        30 * S, "press-1", ItemState.NOT_AVAILABLE, OperationMode.NONE, "no connection"
    )
    assert machine.tick(90 * S) == []
    assert machine.connection(connected=True, ts=95 * S) == []
    assert machine.value("state", 4, 95 * S) != []
    assert machine.tick(101 * S) == []
    restarted = watch(stops=dict(machine.stops))
    assert restarted.value("state", 3, 99 * S)[1:] == [StopClosed(99 * S, "s1")]


def test_alarms_follow_one_another() -> None:
    machine = watch()
    assert machine.value("alarm", 0, 10 * S) == []
    assert machine.value("alarm", 12, 11 * S) == [AlarmChanged(11 * S, "press-1", "alarm:12", True, "12")]
    assert machine.value("alarm", 13, 12 * S) == [
        AlarmChanged(12 * S, "press-1", "alarm:12", False, "12"),
        AlarmChanged(12 * S, "press-1", "alarm:13", True, "13"),
    ]
    assert machine.value("alarm", None, 12 * S, "timeout") == []
    assert machine.value("alarm", 0, 13 * S) == [AlarmChanged(13 * S, "press-1", "alarm:13", False, "13")]


def test_parts_are_counted_while_the_reading_is_good() -> None:
    machine = watch()
    machine.value("parts", 41, 10 * S)
    machine.value("parts", None, 11 * S, "timeout")
    assert machine.parts == 41


def test_the_part_counter_goes_on_through_wraps_resets_and_a_restart_of_the_edge() -> None:
    machine = watch()
    wrap = 2**32 - 1
    for second, raw in enumerate([wrap - 1, wrap, 1, 0, 1, 3]):
        machine.value("parts", raw, (10 + second) * S)
    assert machine.parts == wrap - 1 + 1 + 2 + 3
    kept = machine.count
    assert kept is not None
    again = MachineWatch("press-1", press(), {}, lambda: "s", count=kept)
    again.value("parts", 7, 20 * S)
    assert (again.parts or 0) - kept.total == 4


def test_a_counter_that_comes_back_far_away_was_set_and_one_that_was_away_for_long_has_counted() -> None:
    machine = watch()
    machine.value("parts", 40_000, 10 * S)
    machine.value("parts", 5_000, 11 * S)
    assert machine.parts == 40_000
    machine.connection(connected=False, ts=12 * S)
    machine.value("parts", None, 12 * S, "not_connected")
    machine.connection(connected=True, ts=3612 * S)
    machine.value("parts", 8_000, 3612 * S)
    assert machine.parts == 43_000


def test_a_counter_without_a_number_counts_nothing() -> None:
    machine = watch()
    machine.value("parts", float("nan"), 10 * S)
    machine.value("parts", None, 11 * S, "timeout")
    assert machine.parts is None


RETROFIT = """\
vendor: Acme
model: Press without an interface
protocol: modbus
tags:
  green: {address: "discrete:0", type: bool}
  red: {address: "discrete:1", type: bool}
  spare: {address: "discrete:2", type: bool}
states:
  working: {item_state: executing}
  idle: {item_state: not_executing}
  fault: {item_state: out_of_service, reason: fault}
derive:
  state:
    debounce: 2
    rules:
      - {state: fault, when: {red: true}, reason: red-light}
      - {state: working, when: {green: true}}
    otherwise: idle
"""


def retrofit() -> MachineWatch:
    profile = check_profile(parse(RETROFIT, "retrofit.yaml"))
    assert watched_tags(profile) == {"green", "red"}
    made = MachineWatch("press-1", profile, {"cell-1": 5.0}, lambda: "s1")
    made.connection(connected=True, ts=S)
    return made


def changed(ts: int, item: ItemState, word: str, mode: OperationMode = OperationMode.PROCESSING) -> object:
    return MachineStateChanged(ts * S, "press-1", item, mode, word)


def test_a_machine_without_a_state_tag_has_states_and_stops_like_one_that_has() -> None:
    machine = retrofit()
    assert machine.value("red", False, 10 * S) == []
    assert machine.value("spare", True, 10 * S) == []
    assert machine.value("green", True, 10 * S) == [changed(10, ItemState.EXECUTING, "working")]
    assert machine.value("red", True, 20 * S) == []
    assert machine.tick(21 * S) == []
    assert machine.tick(22 * S) == [changed(20, ItemState.OUT_OF_SERVICE, "fault")]
    assert machine.tick(25 * S) == [StopOpened(20 * S, "s1", "press-1", "cell-1", "red-light")]
    assert machine.value("red", False, 30 * S) == []
    assert machine.tick(32 * S) == [
        changed(30, ItemState.EXECUTING, "working"),
        StopClosed(30 * S, "s1"),
    ]


def test_a_derived_state_is_unknown_while_an_input_is_bad_or_the_device_is_gone() -> None:
    machine = retrofit()
    machine.value("red", False, 10 * S)
    machine.value("green", True, 10 * S)
    gone = changed(20, ItemState.NOT_AVAILABLE, "green: timeout", OperationMode.NONE)
    assert machine.value("green", None, 20 * S, "timeout") == [gone]
    assert machine.value("green", True, 21 * S) == [changed(21, ItemState.EXECUTING, "working")]
    lost = changed(30, ItemState.NOT_AVAILABLE, "no connection", OperationMode.NONE)
    assert machine.connection(connected=False, ts=30 * S) == [lost]
    machine.connection(connected=True, ts=40 * S)
    assert machine.value("green", True, 40 * S) == []
    assert machine.value("red", False, 40 * S) == [changed(40, ItemState.EXECUTING, "working")]
