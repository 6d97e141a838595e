"""When blocks are taken."""

from __future__ import annotations

from drivers.profile.waveform import Waveform, When
from edge.waveforms.schedule import Schedule
from protocols.states import ItemState

RUNS, STANDS = ItemState.EXECUTING, ItemState.NOT_EXECUTING


def schedule(**more: object) -> Schedule:
    return Schedule(Waveform.model_validate({"rate": 6400, "length": 2048, "every": 30, **more}))


def test_by_period_the_first_at_once() -> None:
    by_time = schedule()
    assert by_time.due_in(100.0, STANDS) == 0
    by_time.taken(100.0)
    assert by_time.due_in(110.0, STANDS) == 20
    assert by_time.due_in(131.0, STANDS) == 0


def test_only_while_the_machine_runs() -> None:
    running = schedule(when=When.RUNNING)
    assert running.due_in(0.0, STANDS) is None
    assert running.due_in(0.0, ItemState.NOT_AVAILABLE) is None
    assert running.due_in(0.0, RUNS) == 0


def test_when_a_trigger_rises_and_at_no_other_time() -> None:
    triggered = schedule(trigger="ready", every=1)
    assert triggered.due_in(0.0, RUNS) is None
    assert not triggered.notice("ready", True, good=True), "it came up as true: nobody saw it rise"
    assert not triggered.notice("ready", False, good=True)
    assert not triggered.notice("other", True, good=True)
    assert triggered.notice("ready", True, good=True)
    assert triggered.due_in(5.0, RUNS) == 0
    triggered.taken(5.0)
    assert triggered.due_in(9.0, RUNS) is None


def test_triggers_that_come_too_fast_wait_for_the_period() -> None:
    triggered = schedule(trigger="ready", every=10)
    triggered.taken(100.0)
    triggered.notice("ready", False, good=True)
    triggered.notice("ready", True, good=True)
    assert triggered.due_in(103.0, RUNS) == 7
    assert triggered.due_in(110.0, RUNS) == 0


def test_a_trigger_that_could_not_be_read_has_not_risen() -> None:
    triggered = schedule(trigger="ready")
    triggered.notice("ready", False, good=True)
    triggered.notice("ready", None, good=False)
    assert not triggered.notice("ready", True, good=True)


def test_what_rose_while_the_machine_stood_calls_for_nothing_later() -> None:
    triggered = schedule(trigger="ready", when=When.RUNNING)
    triggered.notice("ready", False, good=True)
    triggered.notice("ready", True, good=True)
    assert triggered.due_in(0.0, STANDS) is None
    assert triggered.due_in(1.0, RUNS) is None
