"""Sparkplug B without any network: payloads, and an edge node and a host that talk to each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.catalogue import TagDefinition
from protocols.lanes import EDGE_ID
from protocols.packing import UndecodableError
from protocols.sparkplug_host import ASK_APART, MAX_TAGS, SparkplugHost, Told, edge_id
from protocols.sparkplug_node import BIRTHS_APART, REBIRTH, Message, NodeState, SparkplugNode
from protocols.sparkplug_payload import (
    MAX_METRICS,
    MAX_PAYLOAD,
    Metric,
    Payload,
    SparkplugType,
    decode,
    encode,
    sparkplug_type,
    value_type,
)
from protocols.sparkplug_topics import HostState, Kind, Topic, decode_state, encode_state, parse
from protocols.values import DataType, Quality, Reason, Sample, Value

NOW = 1_700_000_000_000_000
TAGS = [
    TagDefinition(1, "press/count", DataType.UINT32, "C62", device="press"),
    TagDefinition(2, "press/force", DataType.FLOAT64, "kN", device="press"),
    TagDefinition(5, "laser/program", DataType.STRING, device="laser"),
]


def kinds(messages: Iterable[Message]) -> list[tuple[str, str]]:
    found = []
    for message in messages:
        topic = parse(message.topic)
        assert topic is not None
        found.append((str(topic.kind), topic.device))
    return found


def born(host: str = "") -> tuple[SparkplugNode, list[Message]]:
    """A node with its press and its laser alive and everything born."""
    node = SparkplugNode("plant", "hall", host)
    node.describe(TAGS, NOW)
    node.will(NOW)
    node.device("press", connected=True, now=NOW)
    node.device("laser", connected=True, now=NOW)
    messages = node.connected(NOW)
    return node, messages


# --- payloads -------------------------------------------------------------------------------------------

WHOLE = {
    SparkplugType.INT8: (-128, 127),
    SparkplugType.INT16: (-(2**15), 2**15 - 1),
    SparkplugType.INT32: (-(2**31), 2**31 - 1),
    SparkplugType.INT64: (-(2**63), 2**63 - 1),
    SparkplugType.UINT8: (0, 255),
    SparkplugType.UINT16: (0, 2**16 - 1),
    SparkplugType.UINT32: (0, 2**32 - 1),
    SparkplugType.UINT64: (0, 2**64 - 1),
    SparkplugType.DATETIME: (0, 2**63 - 1),
}


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    kind = draw(st.sampled_from(list(SparkplugType)))
    value: Value
    if kind in WHOLE:
        value = draw(st.integers(*WHOLE[kind]))
    elif kind in (SparkplugType.FLOAT, SparkplugType.DOUBLE):
        value = draw(st.floats(width=32, allow_nan=False))
    elif kind is SparkplugType.BOOLEAN:
        value = draw(st.booleans())
    else:
        value = draw(st.text(max_size=20))
    return Metric(
        draw(st.text(max_size=20)),
        draw(st.sampled_from([value, None])),
        kind,
        draw(st.one_of(st.none(), st.integers(0, 2**40))),
        draw(st.integers(0, 2**45)),
        draw(st.booleans()),
        draw(st.sampled_from(Quality)),
        draw(st.sampled_from(["", "kN", "°C"])),
    )


@given(st.lists(metrics(), max_size=8), st.one_of(st.none(), st.integers(0, 255)))
def test_a_payload_comes_back_as_it_was(found: list[Metric], seq: int | None) -> None:
    payload = Payload(7, tuple(found), seq)
    assert decode(encode(payload)) == payload


@given(st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_refused(data: bytes) -> None:
    with contextlib.suppress(UndecodableError):
        assert isinstance(decode(data), Payload)


def test_payloads_are_bounded() -> None:
    with pytest.raises(UndecodableError, match=f"limit is {MAX_PAYLOAD}"):
        decode(bytes(MAX_PAYLOAD + 1))
    with pytest.raises(UndecodableError, match=f"limit is {MAX_METRICS}"):
        decode(b"\x12\x00" * (MAX_METRICS + 1))


def test_every_type_of_ours_has_one_of_theirs() -> None:
    for kind in DataType:
        assert value_type(sparkplug_type(kind)) is kind


def test_a_small_negative_number_may_be_written_in_eight_or_in_thirty_two_bits() -> None:
    short = decode(b"\x12\x05\x20\x01\x50\xfd\x01")
    assert short.metrics[0].value == -3


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("spBv1.0/plant/NBIRTH/hall", Topic("plant", Kind.NBIRTH, "hall")),
        ("spBv1.0/plant/DDATA/hall/press", Topic("plant", Kind.DDATA, "hall", "press")),
        ("spBv1.0/plant/NDATA/hall/press", None),
        ("spBv1.0/plant/DDATA/hall", None),
        ("spBv1.0/STATE/onelot", None),
        ("spBv1.0/plant/XDATA/hall", None),
        ("spBv1.0//NBIRTH/hall", None),
        ("spAv1.0/plant/NBIRTH/hall", None),
    ],
)
def test_topics(topic: str, expected: Topic | None) -> None:
    assert parse(topic) == expected
    if expected is not None:
        assert str(expected) == topic


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (encode_state(HostState(True, 5)), HostState(True, 5)),
        (b"OFFLINE", HostState(False, 0)),
        (b'{"online": 1, "timestamp": 5}', None),
        (b'{"online": true, "timestamp": "5"}', None),
        (b"[" * 4000, None),
        (b"\xff", None),
    ],
)
def test_states(payload: bytes, expected: HostState | None) -> None:
    assert decode_state(payload) == expected


def test_an_id_that_would_be_a_wildcard_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"a/b" must not .* contain'):
        SparkplugNode("a/b", "hall")


# --- the node -------------------------------------------------------------------------------------------


def test_births_come_first_and_carry_the_newest_values() -> None:
    node = SparkplugNode("plant", "hall")
    node.describe(TAGS, NOW)
    will = node.will(NOW)
    assert node.live([Sample(1, NOW, 41), Sample(1, NOW + 1000, 42)], NOW) == []
    messages = node.connected(NOW)
    assert kinds(messages) == [("NBIRTH", ""), ("DBIRTH", "press")]
    birth = decode(messages[0].payload)
    assert birth.seq == 0
    assert [m.name for m in birth.metrics] == ["bdSeq", REBIRTH]
    assert decode(will.payload).metrics[0].value == birth.metrics[0].value == 0
    device = decode(messages[1].payload)
    assert device.seq == 1
    assert [(m.name, m.value, m.alias, m.unit) for m in device.metrics] == [
        ("count", 42, 2, "C62"),
        ("force", None, 3, "kN"),
    ]
    assert device.metrics[1].quality is Quality.BAD
    assert will.qos == 1


def test_seq_runs_over_node_and_devices_and_starts_again_after_255() -> None:
    node, messages = born()
    seqs = [decode(message.payload).seq for message in messages]
    for turn in range(600):
        for message in node.live([Sample(1, NOW + turn, turn), Sample(5, NOW + turn, "p")], NOW + turn):
            seqs.append(decode(message.payload).seq)
    assert seqs == [n % 256 for n in range(len(seqs))]
    assert len(seqs) == 3 + 1200


def test_each_connection_has_a_bd_seq_of_its_own() -> None:
    node = SparkplugNode("plant", "hall", bd_seq=255)
    for expected in (255, 0, 1):
        will = node.will(NOW)
        birth = node.connected(NOW)[0]
        assert decode(will.payload).metrics[0].value == expected
        assert decode(birth.payload).metrics[0].value == expected
        node.disconnected()
    assert node.bd_seq == 2


def test_a_node_waits_for_its_primary_host_and_dies_with_it() -> None:
    node, messages = born("scada")
    assert messages == []
    assert node.live([Sample(1, NOW, 1)], NOW) == []
    births = node.host(HostState(True, 10), NOW)
    assert kinds(births) == [("NBIRTH", ""), ("DBIRTH", "laser"), ("DBIRTH", "press")]
    assert node.host(HostState(False, 9), NOW) == [], "the will of an older connection of the host"
    assert kinds(node.host(HostState(False, 11), NOW)) == [("NDEATH", "")]
    assert node.state is NodeState.OFFLINE
    assert node.live([Sample(1, NOW, 2)], NOW) == []


def test_a_rebirth_is_obeyed_now_and_then_and_nothing_else_ever() -> None:
    node, _ = born()
    ask = encode(Payload(0, (Metric(REBIRTH, True, SparkplugType.BOOLEAN),)))
    write = encode(Payload(0, (Metric("press/force", 99.0, SparkplugType.DOUBLE),)))
    assert node.command(ask, NOW) == ([], ""), "too soon after the birth"
    later = NOW + BIRTHS_APART
    messages, refused = node.command(ask, later)
    assert (kinds(messages)[0], refused) == (("NBIRTH", ""), "")
    assert node.command(write, later + BIRTHS_APART) == ([], "press/force")
    assert node.command(b"\xff\xff", later)[0] == []


def test_a_device_that_goes_dies_and_is_born_again_with_its_first_value() -> None:
    node, _ = born()
    assert kinds(node.device("press", connected=False, now=NOW)) == [("DDEATH", "press")]
    assert node.device("press", connected=False, now=NOW) == []
    lost = Sample(1, NOW, None, Quality.BAD, Reason.NOT_CONNECTED)
    assert node.live([lost], NOW) == [], "no data without a birth"
    messages = node.live([Sample(1, NOW + 1, 7), Sample(1, NOW + 2, 8)], NOW + 2)
    assert kinds(messages) == [("DBIRTH", "press"), ("DDATA", "press")]
    (older,) = decode(messages[1].payload).metrics
    assert (older.value, older.historical) == (7, True)


def test_backlog_is_historical_and_a_device_that_is_gone_is_born_for_it() -> None:
    node, _ = born()
    node.device("laser", connected=False, now=NOW)
    messages = node.backlog([Sample(1, NOW - 5000, 3), Sample(5, NOW - 4000, "x")], NOW)
    assert kinds(messages) == [
        ("DDATA", "press"),
        ("DBIRTH", "laser"),
        ("DDATA", "laser"),
        ("DDEATH", "laser"),
    ]
    (late,) = decode(messages[0].payload).metrics
    assert (late.value, late.historical, late.timestamp) == (3, True, (NOW - 5000) // 1000)


def test_another_catalogue_means_births_again() -> None:
    node, _ = born()
    assert node.describe(TAGS, NOW) == []
    messages = node.describe(TAGS[:2], NOW)
    assert kinds(messages) == [("DDEATH", "laser"), ("NBIRTH", ""), ("DBIRTH", "press")]


# --- the host -------------------------------------------------------------------------------------------


def hear(host: SparkplugHost, messages: Iterable[Message], now: int = NOW) -> list[Told]:
    return [told for m in messages if (told := host.received(m.topic, m.payload, now)) is not None]


def values(told: Iterable[Told]) -> list[Value]:
    return [sample.value for one in told for sample in one.live]


def test_what_a_node_says_a_host_hears() -> None:
    node, births = born()
    host = SparkplugHost()
    told = hear(host, births)
    edge = edge_id("plant", "hall")
    catalogue = host.catalogue_of(edge)
    assert catalogue is not None
    assert [(tag.path, tag.type, tag.unit) for tag in catalogue.tags] == [
        ("spBv1.0/plant/hall/laser/program", DataType.STRING, ""),
        ("spBv1.0/plant/hall/press/count", DataType.UINT32, "C62"),
        ("spBv1.0/plant/hall/press/force", DataType.FLOAT64, "kN"),
    ]
    assert [state.device for one in told for state in one.states] == [
        "spBv1.0/plant/hall",
        "spBv1.0/plant/hall/laser",
        "spBv1.0/plant/hall/press",
    ]
    told = hear(host, node.live([Sample(1, NOW, 7), Sample(2, NOW, 1.5)], NOW))
    assert values(told) == [7, 1.5]
    assert host.ignored == {}
    late = hear(host, node.backlog([Sample(1, NOW - 9_000_000, 3)], NOW))
    assert [(s.value, s.ts) for one in late for s in one.historical] == [(3, NOW - 9_000_000)]


@given(st.lists(st.integers(0, 5), max_size=60))
def test_a_host_follows_a_node_through_losses(events: list[int]) -> None:
    """Whatever is lost on the way, after births that were asked for the host has what the node has."""
    node, births = born()
    host = SparkplugHost()
    hear(host, births)
    now = NOW
    for turn, event in enumerate(events):
        now += ASK_APART
        messages: list[Message] = []
        if event < 3:
            messages = node.live([Sample(1, now, turn), Sample(5, now, f"p{turn}")], now)
        elif event == 3:
            messages = node.device("press", connected=turn % 2 == 0, now=now)
        elif event == 4:
            node.disconnected()
            hear(host, [node.will(now)], now)
            messages = node.connected(now)
        if event != 1:  # these are lost
            _answer(node, host, hear(host, messages, now), now)
    now += ASK_APART
    node.device("press", connected=True, now=now)
    _answer(node, host, hear(host, node.live([Sample(1, now, 999)], now), now), now)
    now += ASK_APART
    told = hear(host, node.live([Sample(1, now, 1000)], now), now)
    assert values(told) == [1000]


def _answer(node: SparkplugNode, host: SparkplugHost, told: list[Told], now: int) -> None:
    for one in told:
        for answer in one.answers:
            births, refused = node.command(answer.payload, now)
            assert births
            assert not refused
            hear(host, births, now)


def test_data_of_a_node_that_was_never_born_asks_for_its_birth_once_in_a_while() -> None:
    node, _ = born()
    host = SparkplugHost()
    first = hear(host, node.live([Sample(1, NOW, 7)], NOW))
    assert values(first) == []
    assert [answer.topic for answer in first[0].answers] == ["spBv1.0/plant/NCMD/hall"]
    again = hear(host, node.live([Sample(1, NOW + 1, 8)], NOW + 1), NOW + 1)
    assert again[0].answers == []
    assert host.ignored["no birth"] == 2


def test_a_late_death_of_an_earlier_connection_is_passed_over() -> None:
    node = SparkplugNode("plant", "hall")
    node.describe(TAGS, NOW)
    old = node.will(NOW)
    node.connected(NOW)
    node.disconnected()
    host = SparkplugHost()
    node.will(NOW)
    hear(host, node.connected(NOW))
    assert hear(host, [old])[0].states == []
    assert host.ignored["late death"] == 1
    node.disconnected()
    hear(host, [old])


def test_a_death_takes_the_devices_along() -> None:
    node, births = born()
    host = SparkplugHost()
    hear(host, births)
    node.disconnected()
    will = Message(
        "spBv1.0/plant/NDEATH/hall", encode(Payload(0, (Metric("bdSeq", 0, SparkplugType.INT64),)))
    )
    (told,) = hear(host, [will])
    assert {(state.device, state.connected) for state in told.states} == {
        ("spBv1.0/plant/hall", False),
        ("spBv1.0/plant/hall/laser", False),
        ("spBv1.0/plant/hall/press", False),
    }


def test_a_metric_of_another_type_than_its_birth_is_bad() -> None:
    _, births = born()
    host = SparkplugHost()
    hear(host, births)
    wrong = encode(Payload(0, (Metric("", "text", SparkplugType.STRING, alias=2),), seq=3))
    (told,) = hear(host, [Message("spBv1.0/plant/DDATA/hall/press", wrong)])
    assert [(s.value, s.quality, s.reason) for s in told.live] == [(None, Quality.BAD, Reason.TYPE_MISMATCH)]


def test_a_type_that_changes_gets_a_number_of_its_own() -> None:
    host = SparkplugHost()
    seen = []
    for kind, value in ((SparkplugType.INT32, 1), (SparkplugType.DOUBLE, 1.5)):
        birth = Payload(0, (Metric("speed", value, kind),), seq=0)
        told = hear(host, [Message("spBv1.0/plant/NBIRTH/hall", encode(birth))])
        seen.append((told[0].live[0].tag, told[0].supersedes))
    assert seen == [(0, False), (1, True)]
    catalogue = host.catalogue_of(edge_id("plant", "hall"))
    assert catalogue is not None
    assert [(tag.number, tag.type) for tag in catalogue.tags] == [(1, DataType.FLOAT64)]


def test_what_no_tag_can_hold_is_left_out_and_said() -> None:
    host = SparkplugHost()
    birth = Payload(0, (Metric("ok", 1, SparkplugType.INT32), Metric("table", None, 16)), seq=0)
    raw = encode(Payload(0, (birth.metrics[0],), seq=0)) + b"\x12\x09\x0a\x05table\x20\x10"
    (told,) = hear(host, [Message("spBv1.0/plant/NBIRTH/hall", raw)])
    assert told.problem == "spBv1.0/plant/hall: metrics left out: 1 with no scalar"
    data = encode(Payload(0, (), seq=1)) + b"\x12\x09\x0a\x05table\x20\x10"
    (told,) = hear(host, [Message("spBv1.0/plant/NDATA/hall", data)])
    assert told.answers == [], "no reason to ask for births again"


def test_a_node_may_not_fill_the_memory() -> None:
    host = SparkplugHost()
    for turn in range(3):
        birth = Payload(
            0,
            tuple(Metric(f"m{turn}-{n}", 1, SparkplugType.INT32) for n in range(MAX_TAGS // 2)),
            seq=0,
        )
        (told,) = hear(host, [Message("spBv1.0/plant/NBIRTH/hall", encode(birth))])
    catalogue = host.catalogue_of(edge_id("plant", "hall"))
    assert catalogue is not None
    assert len(catalogue.tags) == MAX_TAGS
    assert f"{MAX_TAGS // 2} with more than {MAX_TAGS} metrics" in told.problem


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_every_foreign_node_is_a_legal_edge(group: str, node: str) -> None:
    assert EDGE_ID.fullmatch(edge_id(group, node))
    assert edge_id(group, node) != edge_id(group, f"{node}x")


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=20))
def test_no_payload_harms_the_host(messages: list[tuple[Kind, bytes]]) -> None:
    host = SparkplugHost()
    for kind, payload in messages:
        device = "press" if kind.startswith("D") else ""
        host.received(str(Topic("plant", kind, "hall", device)), payload, NOW)


def test_a_clock_far_ahead_is_not_believed() -> None:
    host = SparkplugHost()
    birth = Payload(0, (Metric("n", 1, SparkplugType.INT32, timestamp=2**60),), seq=0)
    (told,) = hear(host, [Message("spBv1.0/plant/NBIRTH/hall", encode(birth))])
    assert told.live[0].ts == NOW
