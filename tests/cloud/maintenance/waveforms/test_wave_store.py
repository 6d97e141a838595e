"""What comes of questions, whatever order it comes in and however often."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.maintenance.waveforms.store import DAY, Asked, NewerFileError, Question, WaveformStore
from protocols.waveforms import messages
from protocols.waveforms.block import Block, encode
from protocols.waveforms.coding import coded
from protocols.waveforms.messages import Found
from tests.cloud.maintenance.waveforms.wave_answers import PATH, T0, answer, block


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WaveformStore]:
    made = WaveformStore(tmp_path / "waveforms.db")
    made.open()
    yield made
    made.close()


def asked(name: str = "q1", path: str = PATH, start: int = T0, most: int = 1, at: int = T0) -> Question:
    return Question(name, "machining", path, start, start, most, at, "somebody", Asked.ASKED)


def large(ts: int = T0) -> Block:
    """A block of five parts."""
    values = np.random.default_rng(1).normal(0, 1, 131_072).astype(np.float32)
    kind, order, data = coded(values)
    return Block(PATH, ts, 25_600.0, "g", kind, len(values), 1.0, 0.0, "running", 0.0, order, data)


def taken(store: WaveformStore, blobs: list[bytes], first: int = 1, received: int = T0) -> None:
    store.take([(row, "machining", received, blob) for row, blob in enumerate(blobs, start=first)])


def state(store: WaveformStore, question: str = "q1") -> Asked:
    found = store.question(question)
    assert found is not None
    return found.state


def test_an_answer_makes_a_block(store: WaveformStore) -> None:
    store.ask(asked())
    found, *parts = answer("q1", block())
    taken(store, [found])
    assert state(store) is Asked.ARRIVING
    taken(store, parts, first=2)
    assert state(store) is Asked.HERE
    assert store.nearest(PATH, T0 + 5) == block()
    (kept,) = store.blocks("laser-1", 10)
    assert (kept.path, kept.ts, kept.edge, kept.bytes) == (PATH, T0, "machining", len(encode(block())))
    assert store.blocks("laser-2", 10) == [] and store.blocks("laser", 10) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parts_may_come_in_any_order_and_twice(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blobs = answer("q1", large(), block(T0 + 9))
    order = data.draw(st.permutations(blobs + blobs))
    made = WaveformStore(tmp_path_factory.mktemp("store") / "waveforms.db")
    made.open()
    made.ask(asked(most=2))
    for row, blob in enumerate(order, start=1):
        made.take([(row, "machining", T0, blob)])
    assert state(made) is Asked.HERE
    assert made.nearest(PATH, T0) == large() and made.nearest(PATH, T0 + 9) == block(T0 + 9)
    made.close()


def test_what_was_taken_is_not_taken_again_after_a_restart(store: WaveformStore, tmp_path: Path) -> None:
    store.ask(asked())
    blobs = answer("q1", large())
    taken(store, blobs[:3])
    store.close()
    again = WaveformStore(tmp_path / "waveforms.db")
    again.open()
    assert again.ledgered() == 3
    taken(again, blobs)
    assert state(again) is Asked.HERE and again.ledgered() == len(blobs)
    again.close()


def test_an_edge_that_has_none_says_why(store: WaveformStore) -> None:
    store.ask(asked())
    taken(store, answer("q1", why="overwritten: the edge keeps blocks from … on"))
    question = store.question("q1")
    assert question is not None and question.state is Asked.NONE
    assert question.why.startswith("overwritten")


def test_the_same_question_while_it_is_open_is_one(store: WaveformStore) -> None:
    assert store.ask(asked("q1")).id == store.ask(asked("q2")).id == "q1"
    assert store.ask(asked("q3", most=2)).id == "q3"
    store.give_up(["q1"], "ask again")
    assert store.ask(asked("q4")).id == "q4"
    assert [question.id for question in store.open_questions()] == ["q3", "q4"]


def test_two_questions_for_the_same_block_are_both_answered(store: WaveformStore) -> None:
    store.ask(asked("q1"))
    store.ask(asked("q2", most=2))
    taken(store, [*answer("q1", block()), *answer("q2", block())])
    assert state(store, "q1") is state(store, "q2") is Asked.HERE


def test_a_damaged_block_is_lost_and_says_so(store: WaveformStore) -> None:
    store.ask(asked())
    whole = bytearray(encode(block()))
    whole[100] ^= 1
    parts = messages.chunks("q1", PATH, T0, bytes(whole))
    taken(store, [answer("q1", block())[0], *(messages.encode(part) for part in parts)])
    question = store.question("q1")
    assert question is not None and question.state is Asked.LOST and "came damaged" in question.why
    assert store.nearest(PATH, T0) is None


def test_a_block_that_is_not_what_its_parts_say_is_not_kept(store: WaveformStore) -> None:
    parts = messages.chunks("q1", "laser-2/drive", T0, encode(block()))
    taken(store, [messages.encode(part) for part in parts])
    assert store.blocks("", 10) == []


def test_answers_to_nobody_and_noise_change_nothing(store: WaveformStore) -> None:
    taken(store, [b"noise", messages.encode(Found("q9", PATH, (T0,), T0, T0))])
    assert store.ledgered() == 2 and store.recent("", 10) == []


def test_what_is_old_or_too_much_goes(store: WaveformStore) -> None:
    for day in range(5):
        taken(store, answer("q", block(T0 + day))[1:], first=1 + 10 * day, received=T0 + day * DAY)
    size = store.blocks("", 1)[0].bytes
    assert store.prune(T0 + 5 * DAY, 3.5, 1 << 30) == 2
    assert [each.ts - T0 for each in store.blocks("", 10)] == [4, 3, 2]
    assert store.prune(T0 + 5 * DAY, 365, 2 * size + 100) == 1
    assert [each.ts - T0 for each in store.blocks("", 10)] == [4, 3]


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "waveforms.db"
    file = sqlite3.connect(path)
    file.execute("PRAGMA user_version=99")
    file.close()
    with pytest.raises(NewerFileError, match="has schema 99"):
        WaveformStore(path).open()
