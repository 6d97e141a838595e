"""VDA 5050 messages: the official schemas, a recorded exchange, hostile payloads."""

from __future__ import annotations

import contextlib
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.vda5050 import (
    MAX_BYTES,
    Action,
    BlockingType,
    Connection,
    ConnectionState,
    Factsheet,
    InstantActions,
    NodePosition,
    NotAMessageError,
    Order,
    State,
    Visualization,
    decode,
    decode_plain,
    encode,
    micros,
    timestamp,
)
from protocols.vda5050_control import MasterControl
from protocols.vda5050_lifecycles import (
    INSTANT,
    ORDER,
    PRESENCE,
    InstantState,
    OrderState,
    Presence,
)
from protocols.vda5050_order import Given, Stop, Way
from protocols.vda5050_sending import Send
from protocols.vda5050_topics import Topic, VehicleId

DATA = Path(os.environ.get("ONELOT_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "vda5050"
VEHICLE = VehicleId("uagv", "acme", "7")
KINDS: dict[str, type[Any]] = {
    "order": Order,
    "instantActions": InstantActions,
    "state": State,
    "visualization": Visualization,
    "connection": Connection,
    "factsheet": Factsheet,
}

needs_data = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the schemas of github.com/VDA5050/VDA5050 (json_schemas, tag 2.1.0) are not in ../shared",
)


def schema(topic: str) -> Any:
    import jsonschema_rs

    text = (DATA / "2.1.0" / f"{topic}.schema").read_text("utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text))


def recorded() -> list[tuple[str, dict[str, Any]]]:
    lines = (DATA / "sample-capture" / "vda-5050-lib-1.4.0_v2.0.0_pick_order.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    return [(row["topic"].rpartition("/")[2], row["payload"]) for row in rows]


@needs_data
def test_a_recorded_exchange_is_read_and_written_back_as_the_schemas_want_it() -> None:
    rows = recorded()
    assert len(rows) == 19
    for topic, payload in rows:
        message = decode(KINDS[topic], json.dumps(payload).encode())
        back = json.loads(encode(message))
        assert schema(topic).is_valid(back), topic
        assert {key: back[key] for key in ("headerId", "serialNumber")} == {
            key: payload[key] for key in ("headerId", "serialNumber")
        }


@needs_data
@settings(max_examples=60)
@given(
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.text(max_size=20),
    st.floats(-1e6, 1e6),
)
def test_every_order_and_instant_action_of_ours_fits_the_schema(
    sizes: tuple[int, int], text: str, x: float
) -> None:
    count, released = sizes
    action = Action(action_type="pick", action_id="a" + text, blocking_type=BlockingType.HARD)
    stops = [
        Stop(f"n{n}", NodePosition(x=x, y=n, map_id="m"), (action,) if n % 3 == 2 else ())
        for n in range(count)
    ]
    ways = [Way(f"e{n}", 1.2 if n % 2 else None, None) for n in range(count - 1)]
    given_order = Given("o" + text, tuple(stops), tuple(ways), released, released)
    nodes, edges = given_order.message_parts()
    order = Order(
        header_id=0,
        timestamp=timestamp(1_790_000_000_123_456),
        version="2.1.0",
        manufacturer="acme",
        serial_number="7",
        order_id=given_order.order_id,
        order_update_id=0,
        nodes=nodes,
        edges=edges,
    )
    schema("order").validate(json.loads(encode(order)))
    control = MasterControl(VEHICLE, lambda: "id")
    (sent,) = [out for out in control.act("factsheetRequest", 5) if isinstance(out, Send)]
    schema("instantActions").validate(json.loads(sent.payload))


@needs_data
def test_everything_that_our_virtual_vehicle_says_fits_the_schemas() -> None:
    from drivers.virtual.agv import VirtualAgv

    now = 1_790_000_000_000_000
    agv = VirtualAgv(VEHICLE, "n0", map_id="m", hurry=5)
    control = MasterControl(VEHICLE, lambda: "id")
    said = [agv.connection(state, now) for state in ConnectionState]
    said += agv.advance(0.1, now)
    for send in said:
        if send.topic is Topic.STATE:
            control.says(decode(State, send.payload), now)
    stops = [Stop(f"n{n}", NodePosition(x=3.0 * n, y=0, map_id="m"), ()) for n in range(4)]
    ways = [Way(f"e{n}") for n in range(3)]
    wishes = [
        *control.give("o1", stops, ways, 2, now),
        *control.act("factsheetRequest", now),
        *control.act("flyAway", now),
    ]
    for wish in wishes:
        if isinstance(wish, Send):
            said += agv.receive(wish.topic, wish.payload, now)
    agv.receive(Topic.ORDER, b"{", now)
    for _ in range(40):
        said += agv.advance(0.2, now)
    assert {send.topic for send in said} == {
        Topic.STATE,
        Topic.VISUALIZATION,
        Topic.CONNECTION,
        Topic.FACTSHEET,
    }
    for send in said:
        schema(send.topic).validate(json.loads(send.payload))


def test_optional_nulls_and_unknown_keys_of_a_2_0_vehicle_are_tolerated() -> None:
    state = {
        "headerId": 1,
        "timestamp": "2026-11-22T09:44:56.951Z",
        "version": "2.0.0",
        "manufacturer": "a",
        "serialNumber": "b",
        "orderId": "",
        "orderUpdateId": 0,
        "lastNodeId": "",
        "lastNodeSequenceId": 0,
        "edgeStates": [],
        "driving": False,
        "nodeStates": [
            {"nodeId": "n", "sequenceId": 0, "released": True, "nodePosition": {"x": 1, "y": 2, "mapId": "m"}}
        ],
        "actionStates": [],
        "batteryState": {"batteryCharge": 50, "charging": False, "batteryVoltage": None},
        "operatingMode": "AUTOMATIC",
        "errors": [{"errorType": "x", "errorLevel": "WARNING", "errorReferences": None}],
        "safetyState": {"eStop": "NONE", "fieldViolation": False},
        "agvPosition": None,
        "vendorSpecific": {"a": [1, {"b": None}]},
    }
    read = decode(State, json.dumps(state).encode())
    assert read.battery_state.battery_charge == 50
    assert read.errors[0].refers("orderId") is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"headerId":-1}',
        b'{"headerId":1e999}',
        b"[" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b'{"headerId":' + b"9" * 5000 + b"}",
        b" " * (MAX_BYTES + 1),
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_a_payload_that_is_no_message_is_one_error(payload: bytes) -> None:
    for kind in (Order, InstantActions, State, Connection):
        with pytest.raises(NotAMessageError):
            decode(kind, payload)


def test_another_major_version_is_refused() -> None:
    message = Connection(
        header_id=1,
        timestamp="",
        version="3.0.0",
        manufacturer="a",
        serial_number="b",
        connection_state=ConnectionState.ONLINE,
    )
    with pytest.raises(NotAMessageError, match=r"3\.0\.0"):
        decode(Connection, encode(message))


@given(st.binary(max_size=2000))
def test_random_bytes_are_a_message_or_one_error(payload: bytes) -> None:
    for kind in KINDS.values():
        with contextlib.suppress(NotAMessageError):
            assert isinstance(decode(kind, payload), kind)
    with contextlib.suppress(NotAMessageError):
        assert isinstance(decode_plain(payload), dict)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(msgspec.structs.fields(State), key=lambda f: f.name)), json_values)
def test_a_state_with_any_field_spoiled_is_a_message_or_one_error(field: Any, value: Any) -> None:
    good = json.loads(encode(minimal_state()))
    good[field.encode_name] = value
    try:
        payload = json.dumps(good).encode()
    except ValueError:
        return
    try:
        message = decode(State, payload)
    except NotAMessageError:
        return
    MasterControl(VEHICLE, lambda: "id").says(message, 10)


def minimal_state() -> State:
    from drivers.virtual.agv import VirtualAgv

    return VirtualAgv(VEHICLE, "n0").state(1_790_000_000_000_000)


@given(st.integers(0, 4_000_000_000_000_000))
def test_timestamps_come_back_to_the_millisecond(us: int) -> None:
    assert micros(timestamp(us)) == us // 1000 * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-99-99T00:00:00Z", None, 7, "2" * 100])
def test_what_is_no_timestamp_has_no_time(text: object) -> None:
    assert micros(text) is None


def test_topics_name_a_vehicle_and_nothing_else() -> None:
    assert VEHICLE.topic(Topic.STATE) == "uagv/v2/acme/7/state"
    assert VEHICLE.read("uagv/v2/acme/7/state") is Topic.STATE
    for other in ("uagv/v2/acme/70/state", "uagv/v2/acme/7/nonsense", "state", "", "uagv/v1/acme/7/state"):
        assert VEHICLE.read(other) is None
    for bad in ("", "a/b", "a+", "#", "a b", "x" * 200):
        with pytest.raises(ValueError, match="no level of a topic"):
            VehicleId("uagv", bad, "7")


@pytest.mark.parametrize(
    ("lifecycle", "states"),
    [(ORDER, OrderState), (PRESENCE, Presence), (INSTANT, InstantState)],
    ids=["order", "presence", "instant"],
)
def test_every_state_can_be_reached(lifecycle: Any, states: type[StrEnum]) -> None:
    found, new = {lifecycle.initial}, [lifecycle.initial]
    while new:
        at = new.pop()
        for (state, _), to in lifecycle.table.items():
            if state == at and to not in found:
                found.add(to)
                new.append(to)
    assert found == set(states)
