"""Dispatch rules: a machine that comes free takes the waiting lot with the highest priority.

- FIFO: what has waited longest at the machine;
- EDD: the order that is due first;
- ATC, the apparent tardiness cost of Vepsalainen & Morton (1987) for job shops;
- ATC with setups (ATCS), the same with the changeover term of Lee, Bhaskaran & Pinedo (1997).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cloud.dispatching.shop.problem import Operation
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.execution import NOTHING, Choice, Wait
from cloud.dispatching.simulation.history import History
from cloud.dispatching.simulation.promises import Allowance
from cloud.dispatching.simulation.world import Order


class Fifo:
    """First in, first out at the machine. The other rules differ in :meth:`pick`."""

    def begin(self, board: Board, history: History) -> None:
        self.board = board
        self.allowance = Allowance(board.shifts)

    def arrived(self, order: Order, now: int) -> None:
        """Nothing to do."""

    def finished(self, order: Order, now: int) -> None:
        self.allowance.learn(order, now)

    def settle(self, now: int) -> int | None:
        return None

    def promise(self, order: Order, now: int) -> int:
        """The work of the order and the usual allowance for waiting."""
        return self.allowance.promise(order, self.board.shifts.after(now, order.content))

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        candidates = self.board.candidates(machine, setup, now)
        if not candidates:
            return NOTHING
        return Choice(self.pick(candidates, machine, setup, now).id)

    def pick(
        self, candidates: list[Operation], machine: str, setup: Mapping[str, str], now: int
    ) -> Operation:
        """The candidate to begin; ``candidates`` are in order of arrival at the machine."""
        there = self.board.waiting[machine]
        return min(candidates, key=lambda o: there[o.id])


class Edd(Fifo):
    """Earliest due date."""

    def pick(
        self, candidates: list[Operation], machine: str, setup: Mapping[str, str], now: int
    ) -> Operation:
        return min(candidates, key=lambda o: (o.due or 0, o.id))


@dataclass(frozen=True, slots=True)
class Scales:
    """``look_ahead`` (k1) and ``changeover`` (k2) of ATCS; ``lead`` times their work is what later operations
    are expected to take."""

    look_ahead: float = 5.0
    changeover: float = 0.4
    lead: float = 1.0


class Atc(Fifo):
    """Apparent tardiness cost: set-ups are not looked at."""

    usual = Scales()

    def __init__(self, scales: Scales | None = None) -> None:
        self.scales = scales or self.usual

    def pick(
        self, candidates: list[Operation], machine: str, setup: Mapping[str, str], now: int
    ) -> Operation:
        board, scales = self.board, self.scales
        seconds = {o.id: _seconds(o, machine) for o in candidates}
        mean = sum(seconds.values()) / len(seconds)
        worked = board.shifts.worked(now)

        def index(operation: Operation) -> float:
            takes = seconds[operation.id]
            due = board.shifts.worked(operation.due or 0)
            slack = due - worked - takes - scales.lead * self._later(operation)
            log = math.log(operation.weight / takes) - max(0.0, slack) / (scales.look_ahead * mean)
            return log - self._unlike(operation, machine, setup)

        return max(candidates, key=index)

    def _unlike(self, operation: Operation, machine: str, setup: Mapping[str, str]) -> float:
        """By how much a changeover makes the operation less urgent, as a logarithm."""
        return 0.0

    def _later(self, operation: Operation) -> int:
        """Nominal seconds of the order's operations that are still to come after this one."""
        order = self.board.orders[operation.order_id]
        return sum(
            min(a.seconds for a in o.alternatives)
            for o in order.operations
            if o.id in self.board.open and o.id != operation.id
        )


class Atcs(Atc):
    """Apparent tardiness cost with setups."""

    def _unlike(self, operation: Operation, machine: str, setup: Mapping[str, str]) -> float:
        usual = sum(rule.seconds for rule in self.board.machines[machine].changeovers)
        if not usual:
            return 0.0
        return self.board.changeover(machine, setup, operation) / (self.scales.changeover * usual)


def _seconds(operation: Operation, machine: str) -> int:
    alternative = operation.alternative(machine)
    return alternative.seconds if alternative is not None else 1
