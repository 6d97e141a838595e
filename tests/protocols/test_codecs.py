"""Every message survives the wire, and bytes that are no message are refused in one way only."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols import actions, jobs, session, states, telemetry
from protocols.lanes import Lane
from protocols.packing import MAX_UNPACKED, VERSION, UndecodableError, digest, pack, unpack
from protocols.telemetry import LATEST, MAX_SAMPLES, Flag, SampleColumns
from protocols.values import Quality, Reason, Sample, Value
from tests.protocols.struct_values import values_of


class Codec(NamedTuple):
    """One kind of message; ``packed`` when its bytes are a blob."""

    name: str
    kind: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], object]
    packed: bool


CODECS = [
    Codec("actions", list[actions.Action], actions.encode, actions.decode, True),
    Codec("states", list[states.Event], states.encode, states.decode, True),
    Codec("jobs", jobs.JobList, jobs.encode, jobs.decode_jobs, True),
    Codec("release", jobs.ReleaseRequest, jobs.encode, jobs.decode_release, True),
    Codec("hello", session.Hello, session.encode, session.decode_hello, False),
    Codec("batch", session.Batch, session.encode, session.decode_batch, False),
    Codec("down", session.DownMessage, session.encode, session.decode_down, False),
]
DECODERS = [(codec.name, codec.decode) for codec in CODECS] + [("telemetry", telemetry.decode)]
PACKED = [codec.decode for codec in CODECS if codec.packed] + [telemetry.decode]
SOME = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
by_name = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.none(),
)
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.integers(0, 2**31 - 1),
        st.integers(0, LATEST),
        VALUES,
        st.sampled_from(Quality),
        st.sampled_from(Reason),
    ),
    max_size=30,
)


@by_name
@SOME
@given(data=st.data())
def test_what_was_encoded_is_decoded(codec: Codec, data: st.DataObject) -> None:
    message = data.draw(values_of(codec.kind))
    encoded = codec.encode(message)
    again = codec.decode(encoded)
    assert again == message
    assert codec.encode(again) == encoded, "or a batch that is sealed again would get another digest"


# bytes that are no message


@pytest.mark.parametrize(("name", "decode"), DECODERS)
@SOME
@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_undecodable(
    name: str, decode: Callable[[bytes], object], data: bytes
) -> None:
    for candidate in (data, bytes((VERSION,)) + data, pack(data)):
        with contextlib.suppress(UndecodableError):  # any other exception fails the test
            decode(candidate)


@by_name
@SOME
@given(data=st.data())
def test_damaged_message_is_undecodable_or_another_message(codec: Codec, data: st.DataObject) -> None:
    message = codec.encode(data.draw(values_of(codec.kind)))
    payload = unpack(message) if codec.packed else message
    at = data.draw(st.integers(0, len(payload) - 1))
    broken = payload[:at] + bytes((payload[at] ^ data.draw(st.integers(1, 255)),)) + payload[at + 1 :]
    for candidate in (broken, payload[:at]):
        with contextlib.suppress(UndecodableError):  # any other exception fails the test
            codec.decode(pack(candidate) if codec.packed else candidate)


NESTED = b"\x91" * 100_000 + b"\xc0"
"""An array in an array in an array …"""


@pytest.mark.parametrize("decode", PACKED)
@pytest.mark.parametrize(
    "payload",
    [NESTED, b"\x91\x82\xa1?" + NESTED, b"\x82\xa1?" + NESTED, b"\x97\xc4\x00\x00\x90\x90\x90\x90" + NESTED],
    ids=["bare", "unknown field of an item", "unknown field", "unknown column"],
)
def test_nesting_made_to_exhaust_the_stack_is_undecodable(
    decode: Callable[[bytes], object], payload: bytes
) -> None:
    with pytest.raises(UndecodableError):
        decode(pack(payload))


@pytest.mark.parametrize(
    "changes",
    [{"seq": 0}, {"seq": -1}, {"seq": 2**53 + 1}, {"stream": b"short"}, {"digest": b""}, {"count": -1}],
    ids=str,
)
def test_batch_with_an_impossible_field_is_undecodable(changes: dict[str, Any]) -> None:
    batch = session.Batch(b"s", bytes(16), Lane.BULK, 1, bytes(16), 1, False, b"")
    batch = msgspec.structs.replace(batch, **changes)
    with pytest.raises(UndecodableError, match="not a batch"):
        session.decode_batch(session.encode(batch))


def test_messages_are_not_taken_for_each_other() -> None:
    unknown = session.encode(session.SessionUnknown(b"s"))
    assert session.decode_down(unknown) == session.SessionUnknown(b"s")
    for decode in (session.decode_hello, session.decode_batch):
        with pytest.raises(UndecodableError):
            decode(unknown)


def test_field_appended_later_does_not_disturb_an_older_receiver() -> None:
    """Arrays may grow at their end; maps may have keys the receiver does not know."""
    rejected = msgspec.msgpack.decode(session.encode(session.Rejected(b"s", "why")))
    assert session.decode_down(msgspec.msgpack.encode([*rejected, "new"])) == session.Rejected(b"s", "why")
    closed = states.StopClosed(5, "stop")
    (event,) = msgspec.msgpack.decode(unpack(states.encode([closed])))
    assert states.decode(pack(msgspec.msgpack.encode([event | {"new": 1}]))) == [closed]


# packing


@SOME
@given(st.binary(max_size=2000))
def test_payload_survives_packing(payload: bytes) -> None:
    assert unpack(pack(payload)) == payload


@SOME
@given(st.binary(min_size=1, max_size=200), st.data())
def test_cut_blob_is_undecodable(payload: bytes, data: st.DataObject) -> None:
    blob = pack(payload)
    with pytest.raises(UndecodableError):
        unpack(blob[: data.draw(st.integers(0, len(blob) - 1))])


def test_blob_of_another_version_says_what_to_do() -> None:
    blob = pack(b"payload")
    with pytest.raises(UndecodableError, match="blob version 2 is not 1: update the receiving side"):
        unpack(bytes((VERSION + 1,)) + blob[1:])


def test_bomb_is_not_unpacked() -> None:
    with pytest.raises(UndecodableError, match=f"unpacks to {MAX_UNPACKED + 1} bytes, the limit is"):
        unpack(pack(bytes(MAX_UNPACKED + 1)))
    assert len(unpack(pack(bytes(MAX_UNPACKED)))) == MAX_UNPACKED


def test_digest_tells_blobs_apart() -> None:
    assert len(digest(b"a")) == 16
    assert digest(b"a") == digest(b"a") != digest(b"b")


# telemetry


@SOME
@given(st.binary(min_size=16, max_size=16), SAMPLES)
def test_samples_survive_as_columns(catalogue: bytes, samples: list[Sample]) -> None:
    batch = telemetry.decode(telemetry.encode(telemetry.columns(catalogue, samples)))
    assert batch.catalogue == catalogue
    assert len(batch) == len(samples)
    kept = [s if s.quality else s._replace(reason=Reason.NONE) for s in samples]
    assert [repr(sample) for sample in batch.samples()] == [repr(sample) for sample in kept]
    assert batch.times() == [sample.ts for sample in samples]


def test_not_a_number_survives() -> None:
    (sample,) = telemetry.decode(
        telemetry.encode(telemetry.columns(b"", [Sample(1, 5, math.nan, Quality.BAD, Reason.SENSOR_FAILURE)]))
    ).samples()
    assert isinstance(sample.value, float)
    assert math.isnan(sample.value)


def rows(**changes: Any) -> SampleColumns:
    fields: dict[str, Any] = {"base": 10, "tags": [1, 2], "steps": [0, 5], "values": [1, 2], "flags": []}
    return SampleColumns(catalogue=b"", **fields | changes)


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        (rows(tags=[1]), "columns disagree: 1 tags, 2 times, 2 values"),
        (rows(steps=[0]), "columns disagree: 2 tags, 1 times, 2 values"),
        (rows(values=[]), "columns disagree: 2 tags, 2 times, 0 values"),
        (rows(flags=[Flag(2, 1, 1)]), "a flag points outside the 2 rows"),
        (rows(flags=[Flag(-1, 1, 1)]), "a flag points outside the 2 rows"),
        (rows(flags=[Flag(0, 7, 1)]), "not a batch of samples"),
        (rows(tags=[1, -2]), "not a batch of samples"),
        (rows(base=-1), "a time lies outside"),
        (rows(base=LATEST), "a time lies outside"),
        (rows(steps=[0, -11]), "a time lies outside"),
        (rows(steps=[2**63 - 1, 2**63 - 1]), "a time lies outside"),
        (rows(tags=[1] * (MAX_SAMPLES + 1)), f"batch holds {MAX_SAMPLES + 1} samples, the limit is"),
    ],
)
def test_columns_that_make_no_sense_are_undecodable(batch: SampleColumns, problem: str) -> None:
    with pytest.raises(UndecodableError, match=problem):
        telemetry.decode(telemetry.encode(batch))


def test_times_may_use_the_whole_range() -> None:
    assert telemetry.decode(telemetry.encode(rows(base=0, steps=[0, LATEST]))).times() == [0, LATEST]
    assert telemetry.decode(telemetry.encode(rows(base=LATEST, steps=[0, -LATEST]))).times() == [LATEST, 0]


def test_reason_of_a_newer_sender_is_other() -> None:
    batch = telemetry.decode(telemetry.encode(rows(flags=[Flag(0, 2, 77)])))
    assert next(batch.samples()) == Sample(1, 10, 1, Quality.BAD, Reason.OTHER)


def test_no_samples_are_a_batch() -> None:
    assert list(telemetry.decode(telemetry.encode(telemetry.columns(b"", []))).samples()) == []


def test_a_poll_of_a_thousand_tags_takes_few_bytes_a_sample() -> None:
    samples = [
        Sample(tag, 1_700_000_000_000_000 + 1_000_000 * poll, 20.0 + (tag * 7 + poll) % 50 / 10)
        for poll in range(10)
        for tag in range(1000)
    ]
    assert len(telemetry.encode(telemetry.columns(bytes(16), samples))) < 8 * len(samples)
