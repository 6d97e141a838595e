"""A plan, what it is worth, and how two plans differ. Whether one may be published says ``violations``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct, field

from cloud.dispatching.shop.problem import Operation, Placement, Problem, State


class Status(StrEnum):
    """How a plan came about."""

    CONSTRUCTED = "constructed"
    """By dispatch rules; the solver has not improved it."""
    FEASIBLE = "feasible"
    """Improved by the solver; better ones may exist."""
    OPTIMAL = "optimal"
    """Proved: no plan of this problem costs less."""


class Assignment(Struct, frozen=True, kw_only=True):
    """Where and when one operation runs.

    ``start`` to ``end`` holds the alternative's own ``setup_seconds`` and the run; the changeover lies in the
    ``changeover_seconds`` before ``start``. ``run`` is the run that covers the operation, if one does.
    """

    machine: str
    start: int
    end: int
    setup_seconds: int = 0
    changeover_seconds: int = 0
    run: str | None = None

    @property
    def occupied_from(self) -> int:
        """When the machine is taken: the start of the changeover."""
        return self.start - self.changeover_seconds


class Service(Struct, frozen=True, kw_only=True):
    """Where and when a maintenance is done."""

    machine: str
    start: int
    end: int


class Trip(Struct, frozen=True, kw_only=True):
    """A vehicle brings ``operation`` what ``predecessor`` made, on its way from ``start`` to ``end``.

    There are trips only where vehicles are limited.
    """

    operation: str
    predecessor: str
    start: int
    end: int


class Objective(Struct, frozen=True, kw_only=True):
    """What a plan costs, part by part in declared order, and the weighted ``total`` the solver minimises."""

    weighted_tardiness: int = 0
    omitted_maintenance: int = 0
    maintenance_delay: int = 0
    changeover_seconds: int = 0
    deviation_seconds: int = 0
    makespan: int = 0
    total: int = 0


class Schedule(Struct, frozen=True, kw_only=True):
    """A plan: assignments by operation id, services by maintenance id (left-out ones are missing).

    ``bound`` is what the solver proved no plan can undercut (in units of ``objective.total``); ``note`` says
    what went wrong on the way, if anything did.
    """

    assignments: dict[str, Assignment]
    services: dict[str, Service] = field(default_factory=dict)
    trips: tuple[Trip, ...] = ()
    objective: Objective = Objective()
    bound: float | None = None
    status: Status = Status.CONSTRUCTED
    note: str = ""

    @property
    def gap(self) -> float | None:
        """Share of the cost that may still be saved, 0…1; ``None`` where no bound is known."""
        if self.bound is None:
            return None
        if self.objective.total <= 0:
            return 0.0
        return max(0.0, 1.0 - self.bound / self.objective.total)

    def placements(self) -> dict[str, Placement]:
        """The plan as ``Problem.published`` of the next problem (same origin)."""
        return {name: Placement(machine=a.machine, start=a.start) for name, a in self.assignments.items()}


class Finish(Struct, frozen=True, kw_only=True):
    """When the work of an order or a job ends, against its due date; ``late`` in seconds, 0 when in time."""

    end: int
    due: int | None = None
    weight: int = 1

    @property
    def late(self) -> int:
        return 0 if self.due is None else max(0, self.end - self.due)


class Move(Struct, frozen=True, kw_only=True):
    """How an operation differs between two plans; ``None`` where one of them does not have it."""

    operation: str
    before: Assignment | None
    after: Assignment | None

    @property
    def later(self) -> int:
        """Seconds by which it now starts later (negative: earlier); 0 when it is not in both plans."""
        return self.after.start - self.before.start if self.before and self.after else 0


# -- what a plan is worth ---------------------------------------------------------------------------------


def evaluate(
    problem: Problem, assignments: Mapping[str, Assignment], services: Mapping[str, Service] | None = None
) -> Objective:
    """What ``assignments`` cost, with the maintenance that is done."""
    weights, done = problem.weights, services or {}
    tardiness = sum(finish.late * finish.weight for finish in jobs(problem, assignments).values())
    omitted = sum(task.omit_cost for task in problem.maintenance if task.id not in done)
    delay = sum(
        task.delay_cost * (done[task.id].end - max(task.earliest, problem.now) - task.seconds)
        for task in problem.maintenance
        if task.id in done
    )
    # A run's operations share one changeover.
    changeover = sum(
        {
            (a.machine, a.start, a.run or name): a.changeover_seconds for name, a in assignments.items()
        }.values()
    )
    deviation = 0
    fixed = {operation.id for operation in problem.operations if operation.state is State.FIXED}
    for operation in problem.operations:
        if operation.state is State.FIXED:
            continue
        assignment = assignments[operation.id]
        wanted = [assignments[name].end + most for name, most in operation.max_lags.items() if name in fixed]
        if operation.pin is not None and operation.pin.start is not None:
            wanted.append(operation.pin.start)
        deviation += sum(weights.pinned * max(0, assignment.start - start) for start in wanted)
        placement = problem.published.get(operation.id)
        if placement is None:
            continue
        moved = abs(assignment.start - placement.start)
        if assignment.machine != placement.machine:
            moved += weights.other_machine
        deviation += moved * (weights.leased if operation.state is State.LEASED else 1)
    makespan = max([problem.now, *(a.end for a in assignments.values())]) - problem.now
    return Objective(
        weighted_tardiness=tardiness,
        omitted_maintenance=omitted,
        maintenance_delay=delay,
        changeover_seconds=changeover,
        deviation_seconds=deviation,
        makespan=makespan,
        total=weights.tardiness * (tardiness + omitted)
        + delay
        + weights.changeover * changeover
        + weights.deviation * deviation
        + weights.makespan * makespan,
    )


def jobs(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, Finish]:
    """When each job ends, by job id."""
    return _finishes(((o.job_id, o) for o in problem.operations), assignments)


def orders(problem: Problem, assignments: Mapping[str, Assignment]) -> dict[str, Finish]:
    """When each order ends, by order id; an order with several jobs is due with the latest of them."""
    return _finishes(((o.order_id, o) for o in problem.operations), assignments)


def _finishes(
    keyed: Iterable[tuple[str, Operation]], assignments: Mapping[str, Assignment]
) -> dict[str, Finish]:
    ends: dict[str, tuple[int, int | None, int]] = {}
    for key, operation in keyed:
        end = assignments[operation.id].end
        due, weight = operation.due, operation.weight
        known = ends.get(key)
        if known is not None:
            end = max(end, known[0])
            if known[1] is not None:
                due = known[1] if due is None else max(due, known[1])
            weight = max(weight, known[2])
        ends[key] = (end, due, weight)
    return {key: Finish(end=end, due=due, weight=weight) for key, (end, due, weight) in ends.items()}


def difference(old: Schedule, new: Schedule) -> list[Move]:
    """Operations whose machine or start differ between two plans of the same origin, in order of time."""
    moves = [
        Move(operation=name, before=before, after=after)
        for name in {**old.assignments, **new.assignments}
        if _moved(before := old.assignments.get(name), after := new.assignments.get(name))
    ]
    return sorted(moves, key=lambda move: ((move.after or move.before or _NOWHERE).start, move.operation))


_NOWHERE = Assignment(machine="", start=0, end=0)


def _moved(before: Assignment | None, after: Assignment | None) -> bool:
    if before is None or after is None:
        return before is not after
    return (before.machine, before.start) != (after.machine, after.start)
