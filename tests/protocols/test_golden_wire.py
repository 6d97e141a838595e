"""The bytes on the wire are a promise: what older software wrote is read, what it reads is written."""

from __future__ import annotations

import msgspec
import pytest

from protocols import actions, session, states
from protocols.packing import MAX_BLOB
from tests.protocols.golden_messages import (
    CATALOGUE,
    CONTROL,
    EVENTS,
    FOLDER,
    GOLDEN,
    HOLDS,
    MAINTENANCE,
    MODELS,
    MOVES,
    SAMPLES,
    STATES,
    read,
)


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_of_old_are_still_read(name: str) -> None:
    golden = GOLDEN[name]
    assert golden.decode(read(name)) == golden.message


@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_bytes_are_still_written(name: str) -> None:
    golden = GOLDEN[name]
    assert golden.payload(golden.encode(golden.message)) == golden.payload(read(name))


def test_golden_samples_are_read_one_by_one() -> None:
    batch = GOLDEN["telemetry"].decode(read("telemetry"))
    assert list(batch.samples()) == SAMPLES  # type: ignore[attr-defined]


def test_a_changed_hash_would_orphan_every_stored_batch() -> None:
    assert CATALOGUE.content_hash().hex() == (FOLDER / "catalogue_hash.txt").read_text().strip()


def test_every_kind_of_event_and_message_has_its_golden_bytes() -> None:
    def members(union: object) -> set[type]:
        return {kind.cls for kind in msgspec.inspect.type_info(union).types}  # type: ignore[attr-defined]

    assert {type(event) for event in (*EVENTS, *CONTROL, *MAINTENANCE, *MOVES, *HOLDS)} == members(
        actions.Event
    )
    assert {type(event) for event in (*STATES, *MODELS)} == members(states.Event)
    messages = members(session.UpMessage) | members(session.DownMessage)
    assert messages <= {type(golden.message) for golden in GOLDEN.values()}


def test_golden_blobs_are_within_the_limit() -> None:
    assert all(len(read(name)) <= MAX_BLOB for name in GOLDEN)
