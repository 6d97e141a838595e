"""Carrying out a plan on a floor that does not keep to it.

A free machine does what the plan has next there. Where that is not there yet:

- the machine is changed over for it in time, if it is on its way;
- another lot goes first where that hurts nobody: the awaited one begins no later for it, or its order is
  expected so early that it can wait, and no time is spent on changeovers that would not have been idle;
- a lot that would wait for its planned machine goes to a like one that is idle.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloud.dispatching.shop.problem import Operation
from cloud.dispatching.shop.schedule import Assignment, Schedule
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.execution import NOTHING, Choice, Wait

SPARE = 3600
"""Working seconds that an order must be expected before its due date, after the delay, to be held up."""

WORTHWHILE = 600
"""Seconds by which a like machine must be able to begin a lot earlier than the planned one."""


class Following:
    """A plan in force and where the floor stands in it; a ``strict`` one is kept whatever comes."""

    def __init__(self, board: Board, strict: bool = False) -> None:
        self.board = board
        self.strict = strict
        self.plan: Schedule | None = None
        self._lines: dict[str, list[str]] = {}
        """By machine the planned operations, next one last."""

    def follow(self, plan: Schedule) -> None:
        """Put a plan in force."""
        self.plan = plan
        self._lines = {machine: [] for machine in self.board.machines}
        for name in sorted(plan.assignments, key=lambda n: plan.assignments[n].start, reverse=True):
            self._lines[plan.assignments[name].machine].append(name)

    def planned(self, operation: str) -> Assignment:
        """Where and when it is planned."""
        if self.plan is None:
            raise RuntimeError("nothing is planned yet")
        return self.plan.assignments[operation]

    def next_on(self, machine: str) -> Operation | None:
        """What the plan has next on a machine, as far as is known."""
        line = self._lines.get(machine, [])
        while line and (line[-1] not in self.board.open or line[-1] in self.board.begun):
            line.pop()
        return self.board.open[line[-1]] if line else None

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        """What a free machine does."""
        following = self.next_on(machine)
        choice = NOTHING if following is None else self._take(following, machine, setup, now)
        if isinstance(choice, Choice) or self.strict or self.plan is None:
            return choice
        other = self._instead(following, machine, setup, now)
        return choice if other is None else Choice(other)

    def _take(self, operation: Operation, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        """Begin what is next if it is there; change over for it if it is about to come."""
        board = self.board
        if not board.fits(machine, setup, operation, now):
            return NOTHING
        if board.waiting[machine].get(operation.id, now + 1) <= now:
            return Choice(operation.id)
        changeover = board.changeover(machine, setup, operation)
        if not changeover or not self._on_its_way(operation, now):
            return NOTHING
        at = max(self._coming(operation, machine, now) - changeover, self.planned(operation.id).occupied_from)
        return Choice(operation.id, prepare=True) if at <= now else Wait(at)

    def _on_its_way(self, operation: Operation, now: int) -> bool:
        """Whether what comes before it has ended, is in hand, or is still to begin in time."""
        waits_for = [name for name in operation.predecessors if name not in self.board.ended]
        return not any(
            self.planned(name).machine in self.board.down
            or (name not in self.board.begun and self.planned(name).start < now)
            for name in waits_for
        )

    def _coming(self, operation: Operation, machine: str, now: int) -> int:
        """When its material is expected at the machine; what is overdue is expected to begin now."""
        board = self.board
        there = board.there(operation, machine)
        for name in operation.predecessors:
            if name in board.ended:
                continue
            planned, begun = self.planned(name), board.begun.get(name)
            ends = begun.ends if begun is not None else planned.end + max(0, now - planned.start)
            there = max(there, ends + (board.transport if planned.machine != machine else 0))
        return there

    def _instead(
        self, following: Operation | None, machine: str, setup: Mapping[str, str], now: int
    ) -> str | None:
        """A lot that is there and may go first: the one that is planned earliest."""
        ready = self.board.candidates(machine, setup, now)
        for operation in sorted(ready, key=lambda o: self.planned(o.id).start):
            if operation is following or self._better_there(operation, machine, setup, now):
                continue
            if following is None or self._harmless(operation, following, machine, setup, now):
                return operation.id
        return None

    def _better_there(self, operation: Operation, machine: str, setup: Mapping[str, str], now: int) -> bool:
        """Whether it is planned on another machine that will not keep it waiting long."""
        planned = self.planned(operation.id)
        if planned.machine == machine or planned.machine in self.board.down:
            return False
        return planned.occupied_from <= now + self.board.changeover(machine, setup, operation) + WORTHWHILE

    def _harmless(
        self,
        operation: Operation,
        following: Operation,
        machine: str,
        setup: Mapping[str, str],
        now: int,
    ) -> bool:
        """Whether ``operation`` may go before ``following``, which is not there yet."""
        board = self.board
        alternative = operation.alternative(machine)
        if alternative is None:
            return False
        coming = max(now, self._coming(following, machine, now))
        straight = board.changeover(machine, setup, following)
        first = board.changeover(machine, setup, operation)
        back = board.changeover(machine, operation.setup, following)
        delay = now + first + alternative.seconds + back - max(coming, now + straight)
        if delay <= 0:
            return True
        if first + back - straight > coming - now:
            return False
        return delay <= self._slack(following) - SPARE

    def _slack(self, operation: Operation) -> int:
        """Working seconds between the planned finish of its order and the due date."""
        order, shifts = self.board.orders[operation.order_id], self.board.shifts
        finish = max(self.planned(o.id).end for o in order.operations if o.id in self.board.open)
        return shifts.worked(order.due) - shifts.worked(finish)
