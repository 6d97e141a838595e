"""The date a customer is told: what is expected, and an allowance learnt from what was finished lately."""

from __future__ import annotations

from collections import deque

from cloud.dispatching.simulation.shifts import Shifts
from cloud.dispatching.simulation.world import Order

KEPT = 0.9
"""Share of the promises that would have been kept with the allowance."""

REMEMBERED = 40
"""Finished orders of the same weight that are looked back on."""

ENOUGH = 5
"""Finished orders from which on they are believed; until then an order gets twice its work more."""


class Allowance:
    """Working seconds that orders of a weight were finished later than expected when they were promised."""

    def __init__(self, shifts: Shifts) -> None:
        self._shifts = shifts
        self._expected: dict[str, int] = {}
        self._late: dict[int, deque[int]] = {}

    def promise(self, order: Order, expected: int) -> int:
        """The date for an order that is expected to be finished at ``expected``; never before that."""
        self._expected[order.id] = expected
        known = sorted(self._late.get(order.weight, ()))
        if len(known) < ENOUGH:
            return self._shifts.after(expected, 2 * order.content)
        return self._shifts.after(expected, known[min(len(known) - 1, int(KEPT * len(known)))])

    def learn(self, order: Order, finished: int) -> None:
        """An order is finished."""
        late = self._shifts.worked(finished) - self._shifts.worked(self._expected.pop(order.id))
        self._late.setdefault(order.weight, deque(maxlen=REMEMBERED)).append(late)
