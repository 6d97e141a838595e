"""What a plan costs in money: hours at the rates of machines, crews and tools, overtime, and lateness.

Reads the problem and the plan only. Seconds are whole and rates decimals, so sums are exact; each part is
rounded once, to a hundredth of the currency, and the total adds up the rounded parts. What is planned costs
the same whether it lies ahead or was begun already; a machine that waits, and work that rests, cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from msgspec import Struct

from cloud.dispatching.shop.problem import Machine, Operation, Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, orders
from cloud.dispatching.shop.shared_violations import interruptible, pauses_of, resting

HOUR = 3600
CENT = Decimal("0.01")


class Part(StrEnum):
    """What the money is for."""

    WORKING = "working"
    """Runs: the machine, the heads and the tools, for as long as they work."""
    SETUP = "setup"
    """Changeovers and set-ups of operations, at the same rates."""
    OVERTIME = "overtime"
    """What overtime costs more than the hours themselves."""
    SERVICE = "service"
    """Who and what maintenance needs."""
    LATENESS = "lateness"


class Rate(StrEnum):
    """What can be filled in, by where it stands."""

    CURRENCY = "costs.currency"
    PER_HOUR = "cost_per_hour"
    OVERTIME = "costs.overtime_percent"
    LATE = "costs.late_per_hour"


class Lack(Struct, frozen=True):
    """A rate that is not filled in; ``names`` are the machines it is missing at."""

    rate: Rate
    names: tuple[str, ...] = ()


class Money(Struct, frozen=True, kw_only=True):
    """What a plan costs in ``currency``, part by part; parts without a rate are 0."""

    currency: str
    working: Decimal
    setup: Decimal
    overtime: Decimal
    service: Decimal
    lateness: Decimal

    def part(self, part: Part) -> Decimal:
        """One of the parts."""
        amount: Decimal = getattr(self, part)
        return amount

    @property
    def total(self) -> Decimal:
        """All parts together."""
        return sum((self.part(part) for part in Part), Decimal(0))


def money(problem: Problem, schedule: Schedule) -> Money | None:
    """What ``schedule``, valid for ``problem``, costs; ``None`` while there are no rates."""
    costs = problem.costs
    if costs is None or not _priced(problem):
        return None
    machines = {machine.id: machine for machine in problem.machines}
    each = {r.id: r.cost_per_hour for r in problem.resources if r.cost_per_hour is not None}
    pauses = {machine.id: pauses_of(machine) for machine in problem.machines}
    may_rest = interruptible(problem)
    working = setup = extra = service = late = Decimal(0)
    for operation, planned, needs in _work(problem, schedule):
        machine = machines[planned.machine]
        rate = (machine.cost_per_hour or Decimal(0)) + _of(needs, each)
        rests = pauses[machine.id] if operation.id in may_rest else []
        worked = max(0, planned.end - planned.start - resting(rests, planned.start, planned.end))
        own = min(planned.setup_seconds, worked)
        working += rate * (worked - own)
        setup += rate * (own + planned.changeover_seconds)
        extra += rate * _overtime(machine, planned, rests)
    for task in problem.maintenance:
        done = schedule.services.get(task.id)
        if done is not None:
            service += _of(task.needs, each) * (done.end - done.start)
    for finish in orders(problem, schedule.assignments).values():
        late += Decimal(finish.late * finish.weight)
    return Money(
        currency=costs.currency,
        working=_hours(working),
        setup=_hours(setup),
        overtime=_hours(extra * (costs.overtime_percent or Decimal(0)) / 100),
        service=_hours(service),
        lateness=_hours(late * (costs.late_per_hour or Decimal(0))),
    )


def lacking(problem: Problem) -> tuple[Lack, ...]:
    """The rates that a full answer would need: all of them while there is no currency."""
    return tuple(_lacking(problem))


def _lacking(problem: Problem) -> Iterator[Lack]:
    costs = problem.costs
    if costs is None:
        yield Lack(Rate.CURRENCY)
    priced = {r.id for r in problem.resources if r.cost_per_hour is not None}
    offered = [work.alternatives for work in problem.operations]
    offered += [run.alternatives for run in problem.runs]
    used = {
        a.machine
        for alternatives in offered
        for a in alternatives
        if priced.isdisjoint(name for name, count in a.needs.items() if count)
    }
    bare = tuple(m.id for m in problem.machines if m.cost_per_hour is None and m.id in used)
    if bare:
        yield Lack(Rate.PER_HOUR, bare)
    if (costs is None or costs.overtime_percent is None) and any(m.overtime for m in problem.machines):
        yield Lack(Rate.OVERTIME)
    dated = any(operation.due is not None for operation in problem.operations)
    if (costs is None or costs.late_per_hour is None) and dated:
        yield Lack(Rate.LATE)


def _priced(problem: Problem) -> bool:
    """Whether there is any rate at all."""
    rates = [machine.cost_per_hour for machine in problem.machines]
    rates += [resource.cost_per_hour for resource in problem.resources]
    if problem.costs is not None:
        rates.append(problem.costs.late_per_hour)
    return any(rate is not None for rate in rates)


def _work(problem: Problem, schedule: Schedule) -> Iterator[tuple[Operation, Assignment, Mapping[str, int]]]:
    """Each thing on a machine once, a run by its first operation, with what it needs."""
    covering = {name: run for run in problem.runs for name in run.operations}
    for operation in problem.operations:
        run, planned = covering.get(operation.id), schedule.assignments[operation.id]
        if run is not None and run.operations[0] != operation.id:
            continue
        offered = run.alternatives if run is not None else operation.alternatives
        needs = next((a.needs for a in offered if a.machine == planned.machine), {})
        yield operation, planned, needs


def _of(needs: Mapping[str, int], each: Mapping[str, Decimal]) -> Decimal:
    return sum((each[name] * count for name, count in needs.items() if name in each), Decimal(0))


def _overtime(machine: Machine, planned: Assignment, rests: Iterable[tuple[int, int]]) -> int:
    """Seconds of changeover and work that lie in the machine's overtime."""
    seconds, at, pauses = 0, planned.occupied_from, list(rests)
    for window in sorted(machine.overtime, key=lambda window: window.start):
        start, end = max(at, window.start), min(planned.end, window.end)
        if start < end:
            seconds += end - start - resting(pauses, start, end)
            at = end
    return seconds


def _hours(amount: Decimal) -> Decimal:
    """So many seconds' worth of an hourly rate, to the hundredth."""
    return (amount / HOUR).quantize(CENT, ROUND_HALF_UP)
