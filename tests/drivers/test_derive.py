"""States from stack light, current and door: first rule wins, debounced, unknown when an input is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.derive import DerivedState, Since, Word, holds, state_word
from drivers.profile.profile import Bounds, Derivation, Tag
from protocols.values import DataType, Value

S = 1_000_000
TAGS = {
    "red": Tag(address="a", type=DataType.BOOL),
    "green": Tag(address="b", type=DataType.BOOL),
    "current": Tag(address="c", type=DataType.FLOAT32),
    "mode": Tag(address="d", type=DataType.UINT16, enum={0: "hand", 1: "auto"}),
    "door": Tag(address="e", type=DataType.BOOL, enum={0: "open", 1: "closed"}),
}


def derivation(debounce: float = 2) -> Derivation:
    return Derivation.model_validate(
        {
            "debounce": debounce,
            "rules": [
                {"state": "fault", "when": {"red": True}, "reason": "red-light"},
                {"state": "running", "when": {"green": True, "current": {"above": 3}}},
                {"state": "ready", "when": {"green": True}},
            ],
            "otherwise": "off",
        }
    )


@pytest.mark.parametrize(
    ("condition", "value", "tag", "met"),
    [
        (True, True, "red", True),
        (True, False, "red", False),
        (True, 1, "current", False),
        (3, 3, "mode", True),
        (3, 3.0, "current", True),
        (1, True, "red", False),
        ("auto", 1, "mode", True),
        ("auto", 0, "mode", False),
        ("auto", 7, "mode", False),
        ("closed", True, "door", True),
        ("closed", False, "door", False),
        (Bounds(above=3), 3, "current", False),
        (Bounds(above=3), 3.01, "current", True),
        (Bounds(below=3), 2.9, "current", True),
        (Bounds(below=3), 3, "current", False),
        (Bounds(between=(1, 2)), 1, "current", True),
        (Bounds(between=(1, 2)), 2, "current", True),
        (Bounds(between=(1, 2)), 2.1, "current", False),
        (Bounds(above=0), float("nan"), "current", False),
        (Bounds(above=0), True, "red", False),
        (Bounds(above=0), "9", "mode", False),
    ],
)
def test_conditions(condition: Any, value: Value, tag: str, met: bool) -> None:
    assert holds(condition, value, TAGS[tag].enum) is met


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"red": True, "green": True, "current": 9.0}, Word("fault", "red-light")),
        ({"red": True}, Word("fault", "red-light")),
        ({"red": False, "green": True, "current": 9.0}, Word("running")),
        ({"red": False, "green": True, "current": 1.0}, Word("ready")),
        ({"red": False, "green": False}, Word("off")),
        ({"red": False, "green": False, "current": 9.0}, Word("off")),
        ({}, None),
        ({"green": True, "current": 9.0}, None),
        ({"red": False, "green": True}, None),
        ({"red": False, "current": 1.0}, None),
    ],
)
def test_the_first_rule_that_fits_counts_and_a_missing_value_that_would_decide_is_unknown(
    values: dict[str, Value], word: Word | None
) -> None:
    assert state_word(derivation(), values, TAGS) == word


def started(debounce: float = 2) -> DerivedState:
    state = DerivedState(derivation(debounce), TAGS)
    assert state.value("red", False, S, good=True) == []
    assert state.value("current", 5.0, S, good=True) == []
    assert state.value("green", True, 2 * S, good=True) == [Since(Word("running"), 2 * S)]
    return state


def test_a_new_word_counts_once_it_has_lasted_and_since_it_began() -> None:
    state = started()
    assert state.value("current", 1.0, 10 * S, good=True) == []
    assert state.tick(11_999_999) == []
    assert state.tick(12 * S) == [Since(Word("ready"), 10 * S)]
    assert state.tick(13 * S) == []


def test_what_flickers_is_not_seen() -> None:
    state = started()
    for second in range(10, 20):
        assert state.value("current", 1.0, second * S, good=True) == []
        assert state.value("current", 5.0, second * S + 500_000, good=True) == []
    assert state.tick(60 * S) == []


def test_another_word_on_the_way_begins_anew() -> None:
    state = started()
    assert state.value("current", 1.0, 10 * S, good=True) == []
    assert state.value("red", True, 11 * S, good=True) == []
    assert state.tick(12 * S) == []
    assert state.tick(13 * S) == [Since(Word("fault", "red-light"), 11 * S)]


def test_a_word_that_lasted_counts_even_when_the_next_value_comes_before_the_tick() -> None:
    state = started()
    assert state.value("current", 1.0, 10 * S, good=True) == []
    assert state.value("red", True, 20 * S, good=True) == [Since(Word("ready"), 10 * S)]
    assert state.tick(22 * S) == [Since(Word("fault", "red-light"), 20 * S)]


def test_a_bad_input_makes_it_unknown_at_once_unless_an_earlier_rule_decides() -> None:
    state = started()
    assert state.value("current", None, 10 * S, good=False) == [Since(None, 10 * S, "current")]
    assert state.value("current", 5.0, 11 * S, good=True) == [Since(Word("running"), 11 * S)]
    state.value("red", True, 12 * S, good=True)
    state.tick(20 * S)
    assert state.value("current", None, 21 * S, good=False) == []


def test_without_debounce_it_changes_with_its_values() -> None:
    state = started(0)
    assert state.value("green", False, 10 * S, good=True) == [Since(Word("off"), 10 * S)]


INPUT = st.one_of(
    st.tuples(st.sampled_from(["red", "green"]), st.one_of(st.none(), st.booleans())),
    st.tuples(st.just("current"), st.one_of(st.none(), st.floats(0, 9))),
)


@given(st.lists(st.tuples(INPUT, st.integers(0, 5 * S)), max_size=40), st.sampled_from([0, 0.5, 2]))
def test_whatever_comes_the_states_are_in_order_and_the_last_one_is_what_the_inputs_say(
    steps: list[tuple[tuple[str, Value], int]], debounce: float
) -> None:
    state = DerivedState(derivation(debounce), TAGS)
    now, good, found = S, dict[str, Value](), list[Since]()
    for (tag, value), after in steps:
        now += after
        good.pop(tag, None)
        if value is not None:
            good[tag] = value
        found += state.value(tag, value, now, good=value is not None)
        if state_word(derivation(), good, TAGS) is None:
            assert state.now.word is None, "unknown is never the last one"
    found += state.tick(now + 10 * S)
    assert state.now.word == state_word(derivation(), good, TAGS)
    assert [change.since for change in found] == sorted(change.since for change in found)
    words = [change.word for change in found]
    assert all(one != other for one, other in pairwise(words))
