"""A plan, what it is worth, and whether it may be published.

:func:`violations` is the independent validator: it reads the problem and the assignments only, shares no code
with the constructor or the model, and every plan passes it before anyone sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from cloud.dispatching.problem import Alternative, Operation, Placement, Problem, State, lease_order


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


class Objective(Struct, frozen=True, kw_only=True):
    """What a plan costs, part by part in declared order, and the weighted ``total`` the solver minimises."""

    weighted_tardiness: int = 0
    omitted_maintenance: int = 0
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
    problem: Problem, assignments: Mapping[str, Assignment], services: Iterable[str] = ()
) -> Objective:
    """What ``assignments`` cost; ``services`` are the ids of the maintenance that is done."""
    weights = problem.weights
    tardiness = sum(finish.late * finish.weight for finish in jobs(problem, assignments).values())
    done = set(services)
    omitted = sum(task.omit_cost for task in problem.maintenance if task.id not in done)
    # A run's operations share one changeover.
    changeover = sum(
        {
            (a.machine, a.start, a.run or name): a.changeover_seconds for name, a in assignments.items()
        }.values()
    )
    deviation = 0
    for operation in problem.operations:
        placement = problem.published.get(operation.id)
        if placement is None or operation.state is State.FIXED:
            continue
        assignment = assignments[operation.id]
        moved = abs(assignment.start - placement.start)
        if assignment.machine != placement.machine:
            moved += weights.other_machine
        deviation += moved * (weights.leased if operation.state is State.LEASED else 1)
    makespan = max([problem.now, *(a.end for a in assignments.values())]) - problem.now
    return Objective(
        weighted_tardiness=tardiness,
        omitted_maintenance=omitted,
        changeover_seconds=changeover,
        deviation_seconds=deviation,
        makespan=makespan,
        total=weights.tardiness * (tardiness + omitted)
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


# -- whether it may be published --------------------------------------------------------------------------


class _Stay(Struct, frozen=True):
    """A machine is taken by one thing: an operation, a run or a service (which has no set-up)."""

    start: int
    end: int
    changeover: int
    name: str
    setup: Mapping[str, str] | None
    fixed: bool


def violations(problem: Problem, schedule: Schedule) -> list[str]:
    """Every rule of the problem that ``schedule`` breaks, in words; empty when it may be published.

    Fixed operations are facts: they are compared with what the problem says of them and bind others, but are
    not held against windows, predecessors or each other.
    """
    assignments = schedule.assignments
    known = {operation.id for operation in problem.operations}
    broken = [f"{o.id} is not planned" for o in problem.operations if o.id not in assignments]
    broken += [f"{name} is planned but not in the problem" for name in assignments if name not in known]
    if broken:
        return broken
    broken += _choice(problem, assignments)
    broken += _waiting(problem, assignments)
    broken += _leases(problem, assignments)
    broken += _services(problem, schedule.services)
    broken += _machines(problem, assignments, schedule.services)
    if not broken and schedule.objective != (real := evaluate(problem, assignments, schedule.services)):
        broken.append(f"the objective says {schedule.objective}, the assignments cost {real}")
    return broken


def _choice(problem: Problem, assignments: Mapping[str, Assignment]) -> Iterator[str]:
    """Machine, duration and time window of each operation; one interval for a run."""
    covering = {name: run for run in problem.runs for name in run.operations}
    for operation in problem.operations:
        name, planned, run = operation.id, assignments[operation.id], covering.get(operation.id)
        if planned.run != (run.id if run else None):
            yield f"{name} is planned in run {planned.run}, the problem has it in {run.id if run else None}"
        if operation.state is State.FIXED:
            end = (
                problem.end_of_fixed(operation) if run is None else _end_of_fixed_run(problem, run.operations)
            )
            if (planned.machine, planned.start, planned.end) != (operation.machine, operation.start, end):
                yield (
                    f"{name} is fixed on {operation.machine} {operation.start}..{end}, "
                    f"planned on {planned.machine} {planned.start}..{planned.end}"
                )
            continue
        offered: tuple[Alternative, ...] = run.alternatives if run else operation.alternatives
        chosen = next((a for a in offered if a.machine == planned.machine), None)
        if chosen is None:
            yield f"{name} cannot run on {planned.machine}"
        else:
            if planned.end - planned.start != chosen.setup_seconds + chosen.run_seconds:
                yield (
                    f"{name} takes {chosen.setup_seconds + chosen.run_seconds} s on {planned.machine}, "
                    f"planned {planned.end - planned.start} s"
                )
            if planned.setup_seconds != chosen.setup_seconds:
                yield f"{name} is set up for {chosen.setup_seconds} s, planned {planned.setup_seconds} s"
        if planned.start < operation.earliest:
            yield f"{name} starts at {planned.start}, before its earliest start {operation.earliest}"
        if planned.start - planned.changeover_seconds < problem.now:
            yield f"{name} takes its machine before now ({problem.now})"
    for run in problem.runs:
        spans = {(a.machine, a.start, a.end) for a in (assignments[name] for name in run.operations)}
        if len(spans) > 1:
            yield f"run {run.id} is torn apart: {sorted(spans)}"


def _end_of_fixed_run(problem: Problem, members: Iterable[str]) -> int:
    wanted = set(members)
    return max(problem.end_of_fixed(o) for o in problem.operations if o.id in wanted)


def _waiting(problem: Problem, assignments: Mapping[str, Assignment]) -> Iterator[str]:
    """No operation starts before its predecessors have ended, lags passed and material arrived."""
    travel = problem.travel()
    for operation in problem.operations:
        if operation.state is State.FIXED:
            continue
        planned = assignments[operation.id]
        for name in operation.predecessors:
            before = assignments[name]
            wait = travel.get((before.machine, planned.machine), 0) + operation.lags.get(name, 0)
            if planned.start < before.end + wait:
                yield (
                    f"{operation.id} starts at {planned.start}, but its predecessor {name} "
                    f"ends at {before.end} and {wait} s must pass"
                )


def _leases(problem: Problem, assignments: Mapping[str, Assignment]) -> Iterator[str]:
    for operation in problem.operations:
        planned = assignments[operation.id]
        if operation.state is not State.LEASED:
            continue
        if planned.machine != operation.machine:
            yield f"{operation.id} is leased on {operation.machine}, planned on {planned.machine}"
        if operation.start is not None and planned.start < operation.start:
            yield f"{operation.id} is leased from {operation.start}, planned earlier at {planned.start}"
    for before, after in lease_order(problem):
        if assignments[after].start < assignments[before].end:
            yield f"leased {after} does not come after leased {before}"


def _services(problem: Problem, services: Mapping[str, Service]) -> Iterator[str]:
    tasks = {task.id: task for task in problem.maintenance}
    for name, service in services.items():
        task = tasks.get(name)
        if task is None:
            yield f"maintenance {name} is planned but not in the problem"
            continue
        if service.machine != task.machine or service.end - service.start != task.seconds:
            yield f"maintenance {name} needs {task.seconds} s on {task.machine}"
        if service.start < max(task.earliest, problem.now):
            yield f"maintenance {name} starts at {service.start}, before {max(task.earliest, problem.now)}"
        if service.end > task.finish_before:
            yield f"maintenance {name} ends at {service.end}, after its risk date {task.finish_before}"


def _machines(
    problem: Problem, assignments: Mapping[str, Assignment], services: Mapping[str, Service]
) -> Iterator[str]:
    """One thing at a time, none of it while unavailable, and the changeovers the order of work demands."""
    stays: dict[str, dict[str, _Stay]] = {machine.id: {} for machine in problem.machines}
    run_setup = {run.id: run.setup for run in problem.runs}
    for operation in problem.operations:
        a = assignments[operation.id]
        name = operation.id if a.run is None else f"run {a.run}"
        setup = operation.setup if a.run is None else run_setup.get(a.run, {})
        fixed = operation.state is State.FIXED
        if a.machine in stays:
            stays[a.machine][name] = _Stay(a.start, a.end, a.changeover_seconds, name, setup, fixed)
    for name, s in services.items():
        if s.machine in stays:
            stays[s.machine][f"maintenance {name}"] = _Stay(
                s.start, s.end, 0, f"maintenance {name}", None, False
            )
    for machine in problem.machines:
        windows = sorted((w.start, w.end) for w in machine.unavailable)
        state: Mapping[str, str] = machine.setup
        last: _Stay | None = None  # whoever leaves the machine latest so far
        last_work: _Stay | None = None
        for stay in sorted(stays[machine.id].values(), key=lambda s: (s.start, s.end, s.name)):
            both_fixed = stay.fixed and last is not None and last.fixed
            taken = stay.start if stay.fixed else stay.start - stay.changeover
            if last is not None and not both_fixed and taken < last.end:
                yield f"{last.name} and {stay.name} overlap on {machine.id}"
            if not stay.fixed:
                for start, end in windows:
                    if taken < end and start < stay.end:
                        yield f"{stay.name} is on {machine.id} while it is unavailable ({start}..{end})"
            if stay.setup is not None:
                needed = machine.changeover(state, stay.setup)
                if stay.fixed:
                    needed = _before_fixed(problem, stay, last, last_work, needed)
                    if last_work is not None and not last_work.fixed and stay.start - needed < last_work.end:
                        yield f"no time to change over from {last_work.name} to {stay.name} on {machine.id}"
                if stay.changeover != needed:
                    yield (
                        f"{stay.name} needs {needed} s of changeover on {machine.id}, "
                        f"planned {stay.changeover} s"
                    )
                state, last_work = stay.setup, stay
            if last is None or stay.end >= last.end:
                last = stay


def _before_fixed(
    problem: Problem, stay: _Stay, last: _Stay | None, last_work: _Stay | None, needed: int
) -> int:
    """Changeover before fixed work: done if it has begun, what fits if the work before is fixed too."""
    if stay.start <= problem.now:
        return 0
    if last_work is None or last_work.fixed:
        free_from = max(problem.now, last_work.end if last_work else problem.now)
        return max(0, min(needed, stay.start - free_from))
    return needed
