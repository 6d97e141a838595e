"""Any sequence of commands: what is accepted follows the lifecycle tables and adds up."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.station import commands as asked
from edge.station.lease import answer, receive
from edge.station.refusals import Refusal
from edge.station.work import ACTIVE, Work
from edge.station.workcell import Workcell, decide, perform
from protocols import actions as did
from protocols.jobs import JobList, ReleaseRequest
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import (
    ANDON,
    OPERATION,
    RUN,
    AndonEvent,
    AndonState,
    OperationEvent,
    OperationState,
    RunEvent,
    RunState,
)
from tests.edge.workcells import PLACE, STEPS, around, job_list, operation, predecessor

OPERATIONS = ("op-1", "op-2", "op-3", "op-4")
small = st.integers(0, 3)


class Ledger:
    """An independent reader of the actions, as the cloud is: tables and sums, nothing of the edge's own."""

    def __init__(self) -> None:
        self.runs: dict[str, RunState] = {}
        self.parts: dict[str, tuple[str, ...]] = {}
        self.operations: dict[str, OperationState] = {}
        self.good: dict[str, Decimal] = {}
        self.andons: dict[str, AndonState] = {}
        self.finished: dict[str, tuple[str, ...]] = {}

    def run(self, run: str, event: RunEvent) -> None:
        self.runs[run] = RUN.next(run, self.runs.get(run, RunState.QUEUED), event)

    def move(self, operation: str, event: OperationEvent) -> None:
        state = self.operations.get(operation, OperationState.LEASED)
        if event is OperationEvent.START and state is OperationState.PAUSED:
            event = OperationEvent.RESUME
        self.operations[operation] = OPERATION.next(operation, state, event)

    def read(self, event: did.Event) -> None:
        if (reader := _READERS.get(type(event))) is not None:
            reader(self, event)


def _opened(ledger: Ledger, event: did.RunOpened) -> None:
    ledger.run(event.run, RunEvent.SETUP if event.setup else RunEvent.START)
    ledger.parts[event.run] = tuple(part.operation for part in event.parts)
    for part in event.parts:
        assert part.quantity > 0
        ledger.move(part.operation, OperationEvent.START)


def _paused(ledger: Ledger, event: did.RunPaused) -> None:
    ledger.run(event.run, RunEvent.PAUSE)
    for part in ledger.parts[event.run]:
        ledger.move(part, OperationEvent.PAUSE)


def _resumed(ledger: Ledger, event: did.RunResumed) -> None:
    ledger.run(event.run, RunEvent.RESUME)
    for part in ledger.parts[event.run]:
        ledger.move(part, OperationEvent.RESUME)


def _booked(ledger: Ledger, event: did.Booked) -> None:
    assert event.operation in ledger.parts[event.run]
    ledger.good[event.operation] = ledger.good.get(event.operation, Decimal(0)) + event.good


def _completed(ledger: Ledger, event: did.RunCompleted) -> None:
    ledger.run(event.run, RunEvent.COMPLETE)
    ledger.finished[event.run] = event.finished
    for part in ledger.parts[event.run]:
        if part in event.finished:
            ledger.move(part, OperationEvent.FINISH)
        elif ledger.operations[part] is OperationState.RUNNING:
            ledger.move(part, OperationEvent.PAUSE)


def _aborted(ledger: Ledger, event: did.RunAborted) -> None:
    ledger.run(event.run, RunEvent.ABORT)
    for part in ledger.parts[event.run]:
        if ledger.operations[part] is OperationState.RUNNING:
            ledger.move(part, OperationEvent.PAUSE)


def _reopened(ledger: Ledger, event: did.RunReopened) -> None:
    ledger.run(event.run, RunEvent.REOPEN)
    for part in ledger.parts[event.run]:
        again = part in ledger.finished[event.run]
        ledger.move(part, OperationEvent.REOPEN if again else OperationEvent.RESUME)


def _called(ledger: Ledger, event: did.AndonRaised) -> None:
    assert event.andon not in ledger.andons
    ledger.andons[event.andon] = AndonState.OPEN


def _cleared(ledger: Ledger, event: did.AndonCleared) -> None:
    ledger.andons[event.andon] = ANDON.next(event.andon, ledger.andons[event.andon], AndonEvent.CLEAR)


_READERS: dict[type, Callable[[Ledger, Any], None]] = {
    did.RunOpened: _opened,
    did.FirstPieceReleased: lambda ledger, event: ledger.run(event.run, RunEvent.FIRST_PIECE),
    did.RunStarted: lambda ledger, event: ledger.run(event.run, RunEvent.START),
    did.RunPaused: _paused,
    did.RunResumed: _resumed,
    did.Booked: _booked,
    did.RunCompleted: _completed,
    did.RunAborted: _aborted,
    did.RunReopened: _reopened,
    did.AndonRaised: _called,
    did.AndonCleared: _cleared,
}


class Station(RuleBasedStateMachine):
    """An operator who tries everything, a planner who re-plans, a network that comes and goes."""

    @initialize()
    def begin(self) -> None:
        self.time = 0
        self.number = 0
        self.version = 1
        self.network = True
        self.ledger = Ledger()
        self.actions: list[did.Action] = []
        self.cell = receive(Workcell(PLACE), self.jobs())

    def jobs(self, dropped: frozenset[str] = frozenset()) -> JobList:
        found = {
            "op-1": operation("op-1", quantity=2),
            "op-2": operation("op-2", quantity=3, steps=STEPS),
            "op-3": operation("op-3", quantity=1, predecessors=[predecessor()]),
            "op-4": operation("op-4", quantity=9, setup={"colour": "red"}),
        }
        return job_list(*(op for key, op in found.items() if key not in dropped), version=self.version)

    def attempt(self, kind: type[asked.Command], **fields: object) -> bool:
        self.number += 1
        command = kind.model_validate({"id": f"command-{self.number:04}", "actor": "K7", **fields})
        when = around(self.time, online=self.network, cloud=self.network)
        before = self.cell
        try:
            actions = decide(self.cell, command, when)
        except (Refusal, IllegalTransitionError):
            assert self.cell is before
            return False
        assert actions, "an accepted command must leave a fact"
        self.cell = perform(self.cell, command, actions)
        for action in actions:
            self.ledger.read(action.event)
        self.actions += actions
        return True

    def run(self, index: int) -> str:
        runs = list(self.cell.work.runs)
        return runs[index % len(runs)] if runs else "no-run"

    @rule(
        operations=st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=4),
        setup=st.booleans(),
        vouch=st.booleans(),
    )
    def opens(self, operations: list[str], setup: bool, vouch: bool) -> None:
        self.attempt(asked.OpenRun, operations=operations, setup=setup, unconfirmed_ok=vouch)

    @rule(
        kind=st.sampled_from(
            [asked.ReleaseFirstPiece, asked.StartRun, asked.PauseRun, asked.ResumeRun, asked.AbortRun]
        ),
        index=small,
    )
    def moves(self, kind: type[asked.Command], index: int) -> None:
        self.attempt(kind, run=self.run(index))

    @rule(index=small, op=st.sampled_from(OPERATIONS), good=small, scrap=small)
    def books(self, index: int, op: str, good: int, scrap: int) -> None:
        fields = {"operation": op, "good": good, "scrap": scrap, "reason": "dented"}
        self.attempt(asked.Book, run=self.run(index), booking=fields)

    @rule(index=small, op=st.sampled_from(OPERATIONS), good=small)
    def completes(self, index: int, op: str, good: int) -> None:
        self.attempt(
            asked.CompleteRun, run=self.run(index), bookings=[{"operation": op, "good": good}] if good else []
        )

    @rule(index=small, step=small, value=st.sampled_from(["25.0", "99", "TOOL-88", "x"]))
    def steps(self, index: int, step: int, value: str) -> None:
        self.attempt(asked.DoStep, run=self.run(index), operation="op-2", step=step, value=value)

    @rule(topic=st.sampled_from(["quality", "material"]))
    def calls(self, topic: str) -> None:
        self.attempt(asked.RaiseAndon, topic=topic)

    @rule(index=small)
    def clears(self, index: int) -> None:
        calls = list(self.cell.work.andons)
        self.attempt(asked.ClearAndon, andon=calls[index % len(calls)] if calls else "none")

    @rule()
    def undoes(self) -> None:
        if self.cell.work.last is not None:
            before = self.cell
            command = self.cell.work.last.command
            if self.attempt(asked.Undo, command=command):
                assert not self.attempt(asked.Undo, command=command)
                total = sum((p.total for p in self.cell.work.progress.values()), Decimal(0))
                booked = sum((p.total for p in before.work.progress.values()), Decimal(0))
                assert total <= booked

    @rule(dropped=st.frozensets(st.sampled_from(OPERATIONS)))
    def replans(self, dropped: frozenset[str]) -> None:
        self.version += 1
        in_hand = self.cell.work.in_hand
        self.cell = receive(self.cell, self.jobs(dropped))
        assert in_hand <= set(self.cell.queue.operations)

    @rule(asked_for=st.sets(st.sampled_from(OPERATIONS), min_size=1))
    def asks_back(self, asked_for: set[str]) -> None:
        found = answer({PLACE.id: self.cell}, ReleaseRequest("r", tuple(asked_for), "replan"))
        assert set(found.released) | set(found.kept) == asked_for
        assert not set(found.released) & self.cell.work.in_hand
        self.cell = found.cells[PLACE.id]

    @rule(seconds=st.integers(1, 30))
    def waits(self, seconds: int) -> None:
        self.time += seconds

    @rule()
    def network_changes(self) -> None:
        self.network = not self.network

    @rule()
    def restarts(self) -> None:
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(self.cell.work), type=Work)
        assert stored == self.cell.work
        self.cell = Workcell(self.cell.place, self.cell.queue, stored)

    @invariant()
    def one_active_run(self) -> None:
        if hasattr(self, "cell"):
            assert sum(run.state in ACTIVE for run in self.cell.work.runs.values()) <= 1

    @invariant()
    def edge_and_reader_agree(self) -> None:
        if hasattr(self, "cell"):
            for run in self.cell.work.runs.values():
                assert run.state is self.ledger.runs[run.id]
            for key in self.cell.work.in_hand:
                assert self.cell.work.progress[key].state is self.ledger.operations[key]
                assert self.cell.work.progress[key].good == self.ledger.good.get(key, Decimal(0))
                assert self.cell.progress(key).total <= self.cell.queue.operations[key].quantity
            assert {key for key, state in self.ledger.andons.items() if state is AndonState.OPEN} == set(
                self.cell.work.andons
            )

    @invariant()
    def every_action_has_an_id_of_its_own(self) -> None:
        if hasattr(self, "actions"):
            assert len({action.id for action in self.actions}) == len(self.actions)


TestStation = Station.TestCase
TestStation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
