"""Dispatching by a plan: the rolling dispatcher, and a plan that is made once and never again.

The rolling dispatcher plans anew when an order comes in, a machine goes down or comes back, or the floor has
left the plan by more than a tolerance. What is to begin within the frozen horizon keeps its machine and its
order there, as work does that an edge holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloud.dispatching.shop.problem import Operation
from cloud.dispatching.shop.schedule import Assignment, Schedule
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.execution import Choice, Wait
from cloud.dispatching.simulation.following import Following
from cloud.dispatching.simulation.history import History, Replan
from cloud.dispatching.simulation.planning import Aims, Planner, make_problem, plan
from cloud.dispatching.simulation.promises import Allowance
from cloud.dispatching.simulation.world import Order

TOLERANCE = 3600
"""Working seconds by which a start may change before the operation counts as moved."""


@dataclass(frozen=True, slots=True)
class Manner:
    """When the rolling dispatcher plans anew; seconds are of the shop's time."""

    frozen: int = 1800
    """Working seconds ahead that a new plan does not touch."""
    late_share: float = 0.1
    """Share of an operation's duration by which it may leave the plan …"""
    least_late: int = 180
    """… and by so many seconds at least."""
    late_gap: int = 300
    """Between two plans whose only cause is that work was late or early."""


class Rolling:
    """The dispatcher; ``clock`` is the computer's, for how long planning takes."""

    strict = False

    def __init__(
        self,
        planner: Planner = plan,
        manner: Manner | None = None,
        aims: Aims | None = None,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.planner = planner
        self.manner = manner or Manner()
        self.aims = aims or Aims()
        self.clock = clock
        self.urgent: dict[str, None] = {}
        """Causes that are not put off."""
        self.down: frozenset[str] = frozenset()
        self.planned_at = -1

    def begin(self, board: Board, history: History) -> None:
        self.board = board
        self.history = history
        self.allowance = Allowance(board.shifts)
        self.following = Following(board, self.strict)

    def arrived(self, order: Order, now: int) -> None:
        self.urgent["order"] = None

    def finished(self, order: Order, now: int) -> None:
        self.allowance.learn(order, now)

    def promise(self, order: Order, now: int) -> int:
        """The planned finish and the usual allowance."""
        expected = max(self.following.planned(operation.id).end for operation in order.operations)
        return self.allowance.promise(order, expected)

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        choice = self.following.choose(machine, setup, now)
        if isinstance(choice, Choice):
            planned = self.following.planned(choice.operation)
            self.history.planned[choice.operation] = (planned.machine, planned.start)
        return choice

    def settle(self, now: int) -> int | None:
        if self.board.down.keys() != self.down:
            self.urgent["machine"] = None
        again = None
        causes = list(self.urgent)
        if not causes and self.following.plan is not None:
            left = self._left_the_plan(now)
            if left and now - self.planned_at < self.manner.late_gap:
                again = self.planned_at + self.manner.late_gap
            elif left:
                causes.append(left)
        if causes and self.board.open:
            self._plan(now, causes)
        return again

    def _left_the_plan(self, now: int) -> str:
        """How the floor leaves the plan in force by more than is tolerated; empty if it does not."""
        for name, begun in self.board.begun.items():
            planned = self.following.planned(name)
            slack = self._tolerated(self.board.open[name], begun.machine)
            if max(now, begun.ends) - planned.end > slack:
                return "late"
            if planned.end - begun.ends > slack:
                return "early"
        for machine in self.board.machines:
            operation = self.following.next_on(machine)
            if operation is None:
                continue
            if now - self.following.planned(operation.id).start > self._tolerated(operation, machine):
                return "waits"
        return ""

    def _tolerated(self, operation: Operation, machine: str) -> int:
        alternative = operation.alternative(machine)
        seconds = alternative.seconds if alternative is not None else 0
        return max(self.manner.least_late, round(self.manner.late_share * seconds))

    def _frozen(self, plan: Schedule, now: int) -> set[str]:
        """What is to begin soon on a machine that is up."""
        until = self.board.shifts.after(now, self.manner.frozen)
        return {
            name
            for name in self.board.open
            if (planned := plan.assignments.get(name)) is not None
            and name not in self.board.begun
            and planned.machine not in self.board.down
            and planned.occupied_from < until
        }

    def _plan(self, now: int, causes: list[str]) -> None:
        self.urgent.clear()
        self.down = frozenset(self.board.down)
        self.planned_at = now
        old = self.following.plan
        frozen = self._frozen(old, now) if old is not None else set()
        began = self.clock()
        new = self.planner(make_problem(self.board, old, frozen, now, self.aims))
        seconds = self.clock() - began
        if old is not None:
            unfrozen = [
                name
                for name in self.board.open
                if name in old.assignments and name not in frozen and name not in self.board.begun
            ]
            moved = sum(self._moved(old.assignments[name], new.assignments[name]) for name in unfrozen)
            self.history.replans.append(Replan(now, tuple(causes), len(unfrozen), moved, seconds))
        self.following.follow(new)

    def _moved(self, before: Assignment, after: Assignment) -> bool:
        shifts = self.board.shifts
        by = abs(shifts.worked(after.start) - shifts.worked(before.start))
        return before.machine != after.machine or by > TOLERANCE


class PlanOnce(Rolling):
    """Each order is planned when it comes in, between what is planned already, and never again."""

    strict = True

    def settle(self, now: int) -> int | None:
        if self.urgent:
            self._plan(now, list(self.urgent))
        return None

    def _frozen(self, plan: Schedule, now: int) -> set[str]:
        return set(plan.assignments)
