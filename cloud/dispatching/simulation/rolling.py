"""Dispatching by a plan: the rolling dispatcher, and a plan that is made once and never again.

The rolling dispatcher plans anew when an order comes in, a machine goes down or comes back, or the floor has
left the plan by more than a tolerance. What is to begin within the frozen horizon keeps its machine and its
order there, as work does that an edge holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cloud.dispatching.problem import Operation, Weights
from cloud.dispatching.schedule import Assignment, Schedule
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.execution import NOTHING, Choice, Wait
from cloud.dispatching.simulation.history import History, Replan
from cloud.dispatching.simulation.planning import Planner, make_problem, plan
from cloud.dispatching.simulation.promises import Allowance
from cloud.dispatching.simulation.world import Order

TOLERANCE = 3600
"""Working seconds by which a start may change before the operation counts as moved."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the rolling dispatcher goes about it; seconds are of the shop's time."""

    frozen: int = 1800
    """Working seconds ahead that a new plan does not touch."""
    late_share: float = 0.25
    """Share of an operation's duration by which it may leave the plan; 600 s at least."""
    least_late: int = 600
    late_gap: int = 900
    """Between two plans whose only cause is that work was late or early."""
    weights: Weights = field(default_factory=Weights)


class Rolling:
    """The dispatcher; ``clock`` is the computer's, for how long planning takes."""

    def __init__(
        self,
        planner: Planner = plan,
        manner: Manner | None = None,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.planner = planner
        self.manner = manner or Manner()
        self.clock = clock
        self.plan: Schedule | None = None
        self.lines: dict[str, list[str]] = {}
        """By machine the planned operations, next one last."""
        self.urgent: dict[str, None] = {}
        self.down: frozenset[str] = frozenset()
        self.planned_at = -1

    def begin(self, board: Board, history: History) -> None:
        self.board = board
        self.history = history
        self.allowance = Allowance(board.shifts)

    def arrived(self, order: Order, now: int) -> None:
        self.urgent["order"] = None

    def finished(self, order: Order, now: int) -> None:
        self.allowance.learn(order, now)

    def promise(self, order: Order, now: int) -> int:
        """The planned finish and the usual allowance."""
        expected = max(self._planned(operation).end for operation in order.operations)
        return self.allowance.promise(order, expected)

    def _planned(self, operation: Operation) -> Assignment:
        if self.plan is None:
            raise RuntimeError("nothing is planned yet")
        return self.plan.assignments[operation.id]

    # --- planning anew ------------------------------------------------------------------------------

    def settle(self, now: int) -> int | None:
        if self.board.down.keys() != self.down:
            self.urgent["machine"] = None
        again = None
        causes = list(self.urgent)
        if self.plan is not None and not causes:
            found = self._left_the_plan(now)
            if found and now - self.planned_at < self.manner.late_gap:
                again = self.planned_at + self.manner.late_gap
            elif found:
                causes.append(found)
        if causes and self.board.open:
            self._plan(now, causes)
        return again

    def _left_the_plan(self, now: int) -> str:
        """What leaves the plan in force by more than is tolerated; empty if nothing does."""
        for name, begun in self.board.begun.items():
            operation = self.board.open[name]
            planned = self._planned(operation)
            if max(now, begun.ends) - planned.end > self._slack(operation, begun.machine):
                return "late"
            if planned.end - begun.ends > self._slack(operation, begun.machine):
                return "early"
        for line in self.lines.values():
            following = self._next(line)
            if following is None:
                continue
            operation = self.board.open[following]
            planned = self._planned(operation)
            if now - planned.start > self._slack(operation, planned.machine):
                return "waits"
        return ""

    def _slack(self, operation: Operation, machine: str) -> int:
        alternative = operation.alternative(machine)
        seconds = alternative.seconds if alternative is not None else 0
        return max(self.manner.least_late, round(self.manner.late_share * seconds))

    def _frozen(self, now: int) -> set[str]:
        """What is to begin soon on a machine that is up."""
        if self.plan is None:
            return set()
        until = self.board.shifts.after(now, self.manner.frozen)
        assignments = self.plan.assignments
        return {
            name
            for name in self.board.open
            if name in assignments
            and name not in self.board.begun
            and assignments[name].machine not in self.board.down
            and assignments[name].occupied_from < until
        }

    def _plan(self, now: int, causes: list[str]) -> None:
        self.urgent.clear()
        self.down = frozenset(self.board.down)
        self.planned_at = now
        frozen = self._frozen(now)
        began = self.clock()
        problem = make_problem(self.board, self.plan, frozen, now, self.manner.weights)
        new = self.planner(problem)
        seconds = self.clock() - began
        if self.plan is not None:
            unfrozen = [
                n for n in self.board.open
                if n in self.plan.assignments and n not in frozen and n not in self.board.begun
            ]  # fmt: skip
            moved = sum(self._moved(self.plan.assignments[n], new.assignments[n]) for n in unfrozen)
            self.history.replans.append(Replan(now, tuple(causes), len(unfrozen), moved, seconds))
        self._put_in_force(new)

    def _moved(self, before: Assignment, after: Assignment) -> bool:
        shifts = self.board.shifts
        by = abs(shifts.worked(after.start) - shifts.worked(before.start))
        return before.machine != after.machine or by > TOLERANCE

    def _put_in_force(self, new: Schedule) -> None:
        self.plan = new
        self.lines = {machine: [] for machine in self.board.machines}
        in_order = sorted(new.assignments, key=lambda n: new.assignments[n].start, reverse=True)
        for name in in_order:
            self.lines[new.assignments[name].machine].append(name)

    # --- carrying it out ----------------------------------------------------------------------------

    def _next(self, line: list[str]) -> str | None:
        """What is next on a machine, as far as is known."""
        while line and (line[-1] not in self.board.open or line[-1] in self.board.begun):
            line.pop()
        return line[-1] if line else None

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        line = self.lines.get(machine)
        name = self._next(line) if line else None
        if name is None:
            return NOTHING
        choice = self._take(name, machine, setup, now)
        if isinstance(choice, Choice):
            self.history.planned[name] = (machine, self._planned(self.board.open[name]).start)
        return choice

    def _take(self, name: str, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        """Begin what is next if it is there; change over for it if it is about to come."""
        operation = self.board.open[name]
        if not self.board.fits(machine, setup, operation, now):
            return NOTHING
        if self.board.waiting[machine].get(name, now + 1) <= now:
            return Choice(name)
        changeover = self.board.changeover(machine, setup, operation)
        coming = self._coming(operation, machine, now)
        if not changeover or coming is None:
            return NOTHING
        at = max(coming - changeover, self._planned(operation).occupied_from)
        return Choice(name, prepare=True) if at <= now else Wait(at)

    def _coming(self, operation: Operation, machine: str, now: int) -> int | None:
        """When the material is expected at the machine; None if what comes before is behind its plan."""
        there = self.board.there(operation, machine)
        for name in operation.predecessors:
            if name in self.board.ended:
                continue
            begun = self.board.begun.get(name)
            planned = self._planned(self.board.open[name])
            if planned.machine in self.board.down or (begun is None and planned.start < now):
                return None
            ends = begun.ends if begun is not None else planned.end
            there = max(there, ends + (self.board.transport if planned.machine != machine else 0))
        return there


class PlanOnce(Rolling):
    """Each order is planned when it comes in, between what is planned already, and never again."""

    def settle(self, now: int) -> int | None:
        if self.urgent:
            self._plan(now, list(self.urgent))
        return None

    def _frozen(self, now: int) -> set[str]:
        return set(self.plan.assignments) if self.plan is not None else set()
