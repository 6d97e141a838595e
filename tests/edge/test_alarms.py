"""Alarms that a machine tells: rise, acknowledgement, end; what vanished while nobody listened has ended."""

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Alarm
from edge.alarms import MAX_ID, MAX_TEXT, MOST, Standing
from edge.collector import Collector
from edge.remembered import remembered
from protocols.states import AlarmChanged
from tests.edge.logger_machine import LoggerMachine
from tests.edge.machines import Ticks, recorder_of, reported
from tests.edge.shops import until
from tests.edge.test_backfill import connected, reading


def alarm(name: str, active: bool = True, acknowledged: bool = False, text: str = "hot") -> Alarm:
    return Alarm(name, "", text, 500, active, acknowledged)


def told(standing: Standing, *alarms: Alarm, are_all: bool = False) -> list[tuple[str, bool, bool]]:
    events = standing.seen(alarms, 1, are_all=are_all)
    assert all(isinstance(event, AlarmChanged) for event in events)
    return [(e.alarm, e.active, e.acknowledged) for e in events if isinstance(e, AlarmChanged)]


def test_an_alarm_rises_is_acknowledged_and_ends_once_each() -> None:
    standing = Standing("press-1")
    assert told(standing, alarm("a")) == [("a", True, False)]
    assert told(standing, alarm("a")) == []
    assert told(standing, alarm("a", acknowledged=True)) == [("a", True, True)]
    assert told(standing, alarm("a", active=False, acknowledged=True)) == [("a", False, True)]
    assert told(standing, alarm("a", active=False, acknowledged=True)) == []
    assert told(standing, alarm("b", active=False)) == [], "it ended before anybody heard of it"


def test_one_that_ends_before_it_is_acknowledged_can_still_be() -> None:
    standing = Standing("press-1")
    told(standing, alarm("a"))
    assert told(standing, alarm("a", active=False)) == [("a", False, False)]
    assert not standing.active
    assert told(standing, alarm("a", active=False, acknowledged=True)) == [("a", False, True)]


def test_after_a_reconnect_what_is_not_listed_has_ended() -> None:
    standing = Standing("press-1")
    told(standing, alarm("a"), alarm("b"))
    assert told(standing, alarm("b"), alarm("c"), are_all=True) == [("c", True, False), ("a", False, False)]
    assert [event.alarm for event in standing.end(2) if isinstance(event, AlarmChanged)] == ["b", "c"]
    assert standing.end(3) == []


def test_ids_and_texts_fit_on_the_wire_and_a_flood_is_bounded() -> None:
    standing = Standing("press-1")
    one, two = "x" * 200 + "1", "x" * 200 + "2"
    names = [name for name, _, _ in told(standing, alarm(one), alarm(two, text="y" * 2000))]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= MAX_ID
    (event,) = standing.seen([alarm("z", text="\ud800" + "y" * 2000)], 1)
    assert isinstance(event, AlarmChanged)
    assert len(event.text) == MAX_TEXT
    told(standing, *(alarm(f"flood-{n}") for n in range(2 * MOST)))
    assert len(standing.active) == MOST


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=4),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_whoever_follows_the_events_knows_what_stands(
    script: list[tuple[list[tuple[str, bool, bool]], bool]],
) -> None:
    standing = Standing("press-1")
    follower: set[str] = set()
    for listed, are_all in script:
        for name, active, _ in told(standing, *(alarm(*each) for each in listed), are_all=are_all):
            (follower.add if active else follower.discard)(name)
        assert follower == set(standing.active)


# --- with a machine -------------------------------------------------------------------------------------


async def alarms(collector: Collector) -> list[tuple[str, bool, bool]]:
    events = [event for event in await reported(collector) if isinstance(event, AlarmChanged)]
    assert all(event.severity in (0, 700) for event in events)
    return [(event.alarm, event.active, event.acknowledged) for event in events]


async def test_alarms_of_a_machine_come_through_and_are_set_right_after_a_reconnect(tmp_path: Path) -> None:
    ticks, machine = Ticks(), LoggerMachine({"load": 1.0})
    machine.reachable.set()
    machine.alarm("door")
    async with reading(tmp_path, machine, ticks) as collector:
        await until(connected(collector))
        await until(lambda: collector.alarms.active == ["door"])
        machine.alarm("coolant")
        machine.alarm("coolant", acknowledged=True)
        await until(lambda: len(collector.alarms.active) == 2)
        machine.lose()
        await until(lambda: not collector.connected)
        await until(lambda: not machine._listeners)
        assert collector.alarms.active == ["door", "coolant"], "nobody knows whether they stand"
        machine.alarm("door", active=False)
        machine.reachable.set()
        await until(lambda: collector.alarms.active == ["coolant"])
        assert await alarms(collector) == [
            ("door", True, False),
            ("coolant", True, False),
            ("coolant", True, True),
            ("door", False, False),
        ]
        stored = await recorder_of(collector).outbox.store.read(remembered)
        assert stored.alarms == {"press-1": {"coolant": "coolant is up"}}
    machine.alarm("coolant", active=False)
    async with reading(tmp_path, machine, ticks) as collector:
        collector.flow.resume(stored.alarms["press-1"], "press-1", 1)
        collector.alarms.resume(stored.alarms["press-1"])
        await until(connected(collector))
        await until(lambda: not collector.alarms.active)
        assert (await alarms(collector))[-1] == ("coolant", False, False)
        await asyncio.sleep(0)
        assert (await recorder_of(collector).outbox.store.read(remembered)).alarms == {}
