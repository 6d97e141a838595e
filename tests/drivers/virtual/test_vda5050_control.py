"""Master control against a vehicle that obeys VDA 5050, over good and bad networks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from protocols.vda5050 import Connection, ConnectionState, Error, ErrorReference, EStop, Level, OperatingMode
from protocols.vda5050_control import NotNowError
from protocols.vda5050_lifecycles import InstantState, OrderState, Presence
from protocols.vda5050_sending import Send
from protocols.vda5050_topics import Topic
from tests.drivers.virtual.vda5050_world import VEHICLE, World, stops


def world() -> World:
    made = World(random.Random(3))
    made.run(2)
    return made


def give(made: World, count: int = 5, released: int | None = None, order_id: str = "o1") -> None:
    route = stops(count)
    made.take(made.master.give(order_id, *route, released or count, made.now))


def state_of(made: World) -> OrderState:
    assert made.master.order is not None
    return made.master.order.state


def presence_of(made: World) -> Presence:
    return made.master.presence


def ended(made: World) -> bool:
    return made.master.order is None or made.master.order.ended


def test_an_order_is_driven_and_its_actions_done_once() -> None:
    made = world()
    give(made)
    assert state_of(made) is OrderState.OFFERED
    made.run(40)
    assert state_of(made) is OrderState.FINISHED
    assert made.done == {"a2": 1, "a4": 1}
    assert (made.agv.node, made.agv.load) == ("n4", "")
    assert len(made.sent) == 1


def test_a_horizon_is_released_piece_by_piece_and_stitched_on_the_last_base_node() -> None:
    made = world()
    give(made, 5, released=2)
    made.run(20)
    assert state_of(made) is OrderState.ACTIVE
    assert made.agv.node == "n1"
    assert made.agv.state(made.now).new_base_request
    made.take(made.master.release(4, made.now))
    made.run(0.5)
    made.take(made.master.release(5, made.now))
    made.run(40)
    assert state_of(made) is OrderState.FINISHED
    updates = [made.sent["o1", n] for n in range(3)]
    assert [[n.sequence_id for n in order.nodes] for order in updates] == [
        [0, 2, 4, 6, 8],
        [2, 4, 6, 8],
        [6, 8],
    ]
    assert [e.sequence_id for e in updates[2].edges] == [7]
    assert made.done == {"a2": 1, "a4": 1}


def test_another_way_beyond_the_base() -> None:
    made = world()
    give(made, 5, released=2)
    made.run(5)
    route, ways = stops(2, start=1)
    made.take(made.master.reroute(route[1:], ways, made.now))
    made.take(made.master.release(3, made.now))
    made.run(30)
    assert state_of(made) is OrderState.FINISHED
    assert made.agv.node == "n2"


def test_no_second_order_while_one_is_active_neither_here_nor_at_the_vehicle() -> None:
    made = world()
    give(made)
    with pytest.raises(NotNowError, match="o1 is offered"):
        give(made, order_id="o2")
    made.run(3)
    foreign = replace(made.sent["o1", 0], order_id="theirs")
    from protocols.vda5050 import encode

    made.agv.receive(Topic.ORDER, encode(foreign), made.now)
    refusal = made.agv.state(made.now).errors[-1]
    assert (refusal.error_type, refusal.refers("orderId")) == ("orderError", "theirs")
    made.run(40)
    assert state_of(made) is OrderState.FINISHED


def test_a_vehicle_that_another_master_uses_is_given_nothing() -> None:
    made = world()
    give(made)
    made.run(3)
    other = World(random.Random(1), agv=made.agv, now=made.now)
    other.run(2)
    with pytest.raises(NotNowError, match="works on order o1, which is not ours"):
        give(other, order_id="mine")


def test_a_rejected_order_says_why() -> None:
    made = world()
    made.agv.x, made.agv.node = 100.0, "elsewhere"
    give(made)
    made.run(2)
    assert state_of(made) is OrderState.REJECTED
    assert made.master.order is not None and "noRouteError" in made.master.order.reason


def test_an_order_that_is_never_echoed_is_sent_five_times_and_then_said_to_be_unanswered() -> None:
    made = world()
    made.loss = 1.0
    give(made)
    made.run(15)
    assert state_of(made) is OrderState.UNANSWERED
    assert made.headers[Topic.ORDER] == 4
    with pytest.raises(NotNowError, match="unanswered"):
        give(made, order_id="o2")
    made.calm()
    made.take(made.master.cancel(made.now))
    made.run(5)
    assert state_of(made) is OrderState.CANCELLED


def test_cancel_waits_for_finished_and_stops_resending_once_echoed() -> None:
    made = world()
    give(made)
    made.run(2.5)
    assert made.agv.state(made.now).driving
    made.take(made.master.cancel(made.now))
    made.take(made.master.cancel(made.now))
    assert state_of(made) is OrderState.CANCELLING
    with pytest.raises(NotNowError, match="cancelling"):
        give(made, order_id="o2")
    made.run(10)
    assert state_of(made) is OrderState.CANCELLED
    assert made.headers[Topic.INSTANT_ACTIONS] == 0
    assert made.agv.state(made.now).is_idle


def test_a_cancel_that_is_never_confirmed_has_a_state_of_its_own_and_a_late_answer_counts() -> None:
    made = world()
    give(made)
    made.run(2.5)
    made.agv.paused = True
    made.take(made.master.cancel(made.now))
    made.run(70)
    assert state_of(made) is OrderState.UNCONFIRMED
    assert made.master.order is not None
    assert "cancelOrder was shown, but not finished for 60 s" in made.master.order.reason
    made.agv.paused = False
    made.run(10)
    assert state_of(made) is OrderState.CANCELLED


def test_cancel_at_the_last_moment_finds_the_order_finished() -> None:
    made = world()
    give(made)
    made.run(2)
    made.loss = 1.0  # the vehicle goes on, nobody hears of it
    made.run(15)
    assert made.agv.state(made.now).is_idle
    made.calm()
    made.take(made.master.cancel(made.now))
    made.run(5)
    assert state_of(made) is OrderState.FINISHED


def test_instant_actions_are_finished_failed_or_time_out() -> None:
    made = world()
    made.take(made.master.act("startPause", made.now))
    made.run(2)
    assert made.agv.paused
    made.take(made.master.act("factsheetRequest", made.now))
    made.take(made.master.act("stateRequest", made.now))
    made.take(made.master.act("flyAway", made.now))
    made.run(2)
    ended = {each.instant.action.action_type: each.instant for each in made.instants}
    assert ended["startPause"].state is InstantState.FINISHED
    assert ended["factsheetRequest"].state is InstantState.FINISHED
    assert made.master.factsheet is not None
    assert ended["flyAway"].state is InstantState.FAILED
    assert "is not known" in ended["flyAway"].result
    made.loss = 1.0
    made.take(made.master.act("stopPause", made.now))
    made.run(30)
    assert made.instants[-1].instant.state is InstantState.TIMED_OUT
    assert not made.master.pending


def test_online_is_no_sign_of_life() -> None:
    made = world()
    assert presence_of(made) is Presence.ALIVE
    made.loss = 1.0
    for _ in range(60):
        made.step()
        made.hear(made.agv.connection(ConnectionState.ONLINE, made.now))
    assert made.master.connection is ConnectionState.ONLINE
    assert presence_of(made) is Presence.SILENT
    with pytest.raises(NotNowError, match="silent"):
        give(made)
    made.calm()
    made.run(6)
    assert presence_of(made) is Presence.ALIVE


def test_a_last_will_and_a_goodbye_are_told_apart() -> None:
    made = world()
    made.hear(made.agv.connection(ConnectionState.CONNECTIONBROKEN, made.now))
    assert presence_of(made) is Presence.BROKEN
    made.hear(made.agv.connection(ConnectionState.OFFLINE, made.now))
    assert presence_of(made) is Presence.OFFLINE


def test_a_vehicle_that_lost_its_order_is_not_sent_it_again() -> None:
    made = world()
    give(made)
    made.run(6)
    made.restart_agv()
    made.run(20)
    assert state_of(made) is OrderState.FAILED
    assert made.headers[Topic.ORDER] == 0
    assert made.master.order is not None and "restarted" in made.master.order.reason


def test_a_failed_action_fails_the_order() -> None:
    made = world()
    made.agv.fail_next = True
    give(made)
    made.run(40)
    assert state_of(made) is OrderState.FAILED
    assert made.master.order is not None and "pick failed" in made.master.order.reason


def test_an_update_that_is_refused_holds_the_order_until_it_is_cancelled() -> None:
    made = world()
    give(made, 5, released=2)
    made.run(10)
    made.loss = 1.0
    made.take(made.master.release(5, made.now))
    made.calm()
    order = made.master.order
    assert order is not None
    error = Error(
        error_type="orderUpdateError",
        error_level=Level.WARNING,
        error_references=(
            ErrorReference(reference_key="orderId", reference_value="o1"),
            ErrorReference(reference_key="orderUpdateId", reference_value="1"),
        ),
    )
    made.agv.mode = OperatingMode.MANUAL  # it would take the update sent again otherwise
    made.agv.troubles.append(error)
    made.agv.e_stop = EStop.MANUAL
    made.run(6)
    assert state_of(made) is OrderState.HELD
    with pytest.raises(NotNowError, match="held"):
        made.master.release(5, made.now)
    made.agv.e_stop, made.agv.mode, made.agv.troubles = EStop.NONE, OperatingMode.AUTOMATIC, []
    made.take(made.master.cancel(made.now))
    made.run(6)
    assert state_of(made) is OrderState.CANCELLED


def test_late_and_doubled_states_are_passed_over() -> None:
    made = world()
    old = made.agv.state(made.now)
    made.run(6)
    newer = made.master.state
    made.take(made.master.says(old, made.now))
    assert made.master.state is newer


def test_a_vehicle_whose_clock_and_counter_start_anew_is_heard_after_online() -> None:
    made = world()
    made.run(30)
    reborn = replace(made.agv.state(made.now), header_id=0, timestamp="1970-01-01T00:00:05.000Z")
    made.take(made.master.says(reborn, made.now))
    assert made.master.state is not reborn
    online = Connection(
        header_id=0,
        timestamp="",
        version="2.0.0",
        manufacturer=VEHICLE.manufacturer,
        serial_number=VEHICLE.serial,
        connection_state=ConnectionState.ONLINE,
    )
    made.take(made.master.connected(online, made.now))
    made.take(made.master.says(reborn, made.now))
    assert made.master.state is reborn


# --- a hostile network ------------------------------------------------------------------------------------

chances = st.sampled_from([0.0, 0.1, 0.3, 0.6])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    loss=chances,
    twice=chances,
    late=chances,
    released=st.integers(1, 5),
    restarts=st.lists(st.integers(2, 100), max_size=3),
)
def test_whatever_the_network_does_an_order_is_driven_once(
    seed: int, loss: float, twice: float, late: float, released: int, restarts: list[int]
) -> None:
    made = World(random.Random(seed))
    made.run(2)
    made.loss, made.twice, made.late = loss, twice, late
    give(made, 5, released)
    for step in range(120):
        made.step()
        if step in restarts:
            made.restart_master()
        if step % 10 == 9 and released < 5:
            order = made.master.order
            if order is not None and order.state in (OrderState.OFFERED, OrderState.ACTIVE):
                released += 1
                made.take(made.master.release(released, made.now))
    made.calm()
    made.run(10)
    if state_of(made) is OrderState.UNANSWERED:
        assert all(order.confirmed is None for order in made.history)
        return
    if not ended(made):
        made.take(made.master.release(5, made.now))
    made.run(90)
    assert state_of(made) is OrderState.FINISHED
    assert made.done == {"a2": 1, "a4": 1}
    assert made.agv.node == "n4"


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    loss=chances,
    twice=chances,
    late=chances,
    cancel_at=st.integers(0, 60),
    master=st.lists(st.integers(0, 100), max_size=2),
    agv=st.lists(st.integers(0, 100), max_size=1),
)
def test_whatever_happens_a_cancelled_order_stands_still_in_the_end(
    seed: int, loss: float, twice: float, late: float, cancel_at: int, master: list[int], agv: list[int]
) -> None:
    made = World(random.Random(seed))
    made.run(2)
    made.loss, made.twice, made.late = loss, twice, late
    give(made, 5, 3)
    for step in range(120):
        if step == cancel_at and not ended(made):
            made.take(made.master.cancel(made.now))
        made.step()
        if step in master:
            made.restart_master()
        if step in agv:
            made.restart_agv()
    made.calm()
    made.run(100)
    # one that restarts elsewhere on its way may refuse the order before anybody cancels it
    refused = {OrderState.REJECTED} if agv else set()
    assert state_of(made) in {OrderState.CANCELLED, OrderState.FAILED, OrderState.UNCONFIRMED} | refused
    assert made.agv.state(made.now).is_idle
    assert all(count == 1 for action, count in made.done.items() if action.startswith("a"))


def test_what_is_sent_is_a_message_of_the_vehicle() -> None:
    made = world()
    sent = [out for out in made.master.act("stateRequest", made.now) if isinstance(out, Send)]
    assert [each.topic for each in sent] == [Topic.INSTANT_ACTIONS]


def test_a_2_0_vehicle_is_spoken_to_in_its_own_version() -> None:
    made = world()
    assert made.master.version == "2.1.0"
    made.agv.version = "2.0.0"
    made.run(6)
    give(made)
    assert made.sent["o1", 0].version == "2.0.0"
