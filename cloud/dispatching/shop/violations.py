"""Whether a plan may be published: every rule of the problem that it breaks, in words.

The independent validator. It reads the problem and the plan only and shares no code with what makes plans;
every plan passes it before anyone sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from cloud.dispatching.shop.problem import Alternative, Operation, Pin, Problem, State, lease_order
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, evaluate
from cloud.dispatching.shop.shared_violations import interruptible, pauses_of, resting, shared_violations


class _Stay(Struct, frozen=True):
    """A machine is taken by one thing: an operation, a run or a service (which has no set-up)."""

    start: int
    end: int
    changeover: int
    name: str
    setup: Mapping[str, str] | None
    fixed: bool
    interruptible: bool = False
    elsewhere: bool = False
    """Maintenance of a device that this machine shares: it stands still, and need not be available."""


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
    broken += shared_violations(problem, schedule)
    if not broken and schedule.objective != (real := evaluate(problem, assignments, schedule.services)):
        broken.append(f"the objective says {schedule.objective}, the assignments cost {real}")
    return broken


def _choice(problem: Problem, assignments: Mapping[str, Assignment]) -> Iterator[str]:
    """Machine, duration and time window of each operation; one interval for a run."""
    covering = {name: run for run in problem.runs for name in run.operations}
    pauses = {machine.id: pauses_of(machine) for machine in problem.machines}
    may_rest = interruptible(problem)
    for operation in problem.operations:
        name, planned, run = operation.id, assignments[operation.id], covering.get(operation.id)
        if planned.run != (run.id if run else None):
            yield f"{name} is planned in run {planned.run}, the problem has it in {run.id if run else None}"
        offered: tuple[Alternative, ...] = run.alternatives if run else operation.alternatives
        chosen = next((a for a in offered if a.machine == planned.machine), None)
        if operation.state is State.FIXED:
            end = (
                problem.end_of_fixed(operation) if run is None else _end_of_fixed_run(problem, run.operations)
            )
            if (planned.machine, planned.start, planned.end) != (operation.machine, operation.start, end):
                yield (
                    f"{name} is fixed on {operation.machine} {operation.start}..{end}, "
                    f"planned on {planned.machine} {planned.start}..{planned.end}"
                )
            set_up = min(chosen.setup_seconds, max(0, end - planned.start)) if chosen else 0
            if planned.setup_seconds != set_up:
                yield f"{name} was set up for {set_up} s, planned {planned.setup_seconds} s"
            continue
        if chosen is None:
            yield f"{name} cannot run on {planned.machine}"
        else:
            rests = pauses[planned.machine] if name in may_rest else []
            worked = planned.end - planned.start - resting(rests, planned.start, planned.end)
            if worked != chosen.setup_seconds + chosen.run_seconds:
                yield (
                    f"{name} takes {chosen.setup_seconds + chosen.run_seconds} s on {planned.machine}, "
                    f"planned {worked} s"
                )
            if planned.setup_seconds != chosen.setup_seconds:
                yield f"{name} is set up for {chosen.setup_seconds} s, planned {planned.setup_seconds} s"
        if operation.pin is not None and operation.state is State.FREE:
            yield from _pin(operation, operation.pin, planned)
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
    """No operation starts before its predecessors have ended, lags passed, material arrived; none too late.

    Overlapping work starts after the first pieces, and ends when it can have worked on the last ones.
    """
    travel = problem.travel()
    operations = {operation.id: operation for operation in problem.operations}
    for operation in problem.operations:
        if operation.state is State.FIXED:
            continue
        planned = assignments[operation.id]
        for name in operation.predecessors:
            before = assignments[name]
            wait = travel.get((before.machine, planned.machine), 0) + operation.lags.get(name, 0)
            pieces = operation.overlaps.get(name)
            if pieces is not None and before.run is None and planned.run is None:
                yield from _overlapping(operations[name], before, operation, planned, pieces, wait)
            elif planned.start < before.end + wait:
                yield (
                    f"{operation.id} starts at {planned.start}, but its predecessor {name} "
                    f"ends at {before.end} and {wait} s must pass"
                )
            most = operation.max_lags.get(name)
            free = operations[name].state is not State.FIXED
            if most is not None and free and planned.start > before.end + most:
                yield (
                    f"{operation.id} starts at {planned.start}, more than {most} s after its predecessor "
                    f"{name}, which ends at {before.end}"
                )


def _overlapping(
    one: Operation, before: Assignment, other: Operation, after: Assignment, pieces: int, wait: int
) -> Iterator[str]:
    run = before.end - before.start - before.setup_seconds
    first = before.start + before.setup_seconds + -(-run * min(pieces, one.quantity) // one.quantity)
    if after.start < first + wait:
        yield (
            f"{other.id} starts at {after.start}, but {pieces} pieces of {one.id} are done at {first} "
            f"and {wait} s must pass"
        )
    own = after.end - after.start - after.setup_seconds
    last = -(-own * min(pieces, other.quantity) // other.quantity)
    if after.end < before.end + wait + last:
        yield (
            f"{other.id} ends at {after.end}, but its last pieces come from {one.id} at {before.end + wait} "
            f"and take {last} s"
        )


def _pin(operation: Operation, pin: Pin, planned: Assignment) -> Iterator[str]:
    if pin.machine is not None and planned.machine != pin.machine:
        yield f"{operation.id} is pinned to {pin.machine}, planned on {planned.machine}"
    if pin.start is not None and planned.start < pin.start:
        yield f"{operation.id} is pinned to {pin.start}, planned earlier at {planned.start}"


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
    may_rest = interruptible(problem)
    for operation in problem.operations:
        a = assignments[operation.id]
        name = operation.id if a.run is None else f"run {a.run}"
        setup = operation.setup if a.run is None else run_setup.get(a.run, {})
        fixed = operation.state is State.FIXED
        if a.machine in stays:
            rests = operation.id in may_rest
            stays[a.machine][name] = _Stay(a.start, a.end, a.changeover_seconds, name, setup, fixed, rests)
    also = {task.id: task.also for task in problem.maintenance}
    for name, s in services.items():
        for machine_id in (s.machine, *also.get(name, ())):
            if machine_id in stays:
                elsewhere = machine_id != s.machine
                stays[machine_id][f"maintenance {name}"] = _Stay(
                    s.start, s.end, 0, f"maintenance {name}", None, False, elsewhere=elsewhere
                )
    for machine in problem.machines:
        windows = sorted((w.start, w.end, w.pause) for w in machine.unavailable)
        state: Mapping[str, str] = machine.setup
        last: _Stay | None = None  # whoever leaves the machine latest so far
        last_work: _Stay | None = None
        for stay in sorted(stays[machine.id].values(), key=lambda s: (s.start, s.end, s.name)):
            both_fixed = stay.fixed and last is not None and last.fixed
            taken = stay.start if stay.fixed else stay.start - stay.changeover
            if last is not None and not both_fixed and taken < last.end:
                yield f"{last.name} and {stay.name} overlap on {machine.id}"
            if not stay.fixed and not stay.elsewhere:
                for start, end, pause in windows:
                    if taken < end and start < stay.end and not (pause and _rests(stay, start, end)):
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


def _rests(stay: _Stay, start: int, end: int) -> bool:
    """Whether the pause ``start``..``end`` lies within work that may rest: begun before, going on after."""
    return stay.interruptible and stay.start < start and end < stay.end


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
